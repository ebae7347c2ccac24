"""Readers: one for each shape in which data sets keep their cases."""

from evaluator.tasks.readers.base import Reader, natural_key
from evaluator.tasks.readers.blocks import BlocksReader
from evaluator.tasks.readers.files import FilesReader
from evaluator.tasks.readers.generated import GeneratedReader
from evaluator.tasks.readers.remote import Mirror, RemoteReader

__all__ = ["BlocksReader", "FilesReader", "GeneratedReader", "Mirror", "Reader", "RemoteReader", "natural_key"]
