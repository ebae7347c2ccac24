"""Where a submission's files come from: a folder, an archive, or one file of all outputs; nothing is ever extracted."""

from evaluator.ingest.sources.base import DEPTH_LIMIT, ENTRY_LIMIT, NAME_LIMIT, Source, TooLarge
from evaluator.ingest.sources.blocks import BlocksSource
from evaluator.ingest.sources.choose import ARCHIVE_SUFFIXES, open_source
from evaluator.ingest.sources.folder import FileSource, FolderSource
from evaluator.ingest.sources.tar import TarSource
from evaluator.ingest.sources.zip import ZipSource

__all__ = [
    "ARCHIVE_SUFFIXES",
    "DEPTH_LIMIT",
    "ENTRY_LIMIT",
    "NAME_LIMIT",
    "BlocksSource",
    "FileSource",
    "FolderSource",
    "Source",
    "TarSource",
    "TooLarge",
    "ZipSource",
    "open_source",
]
