"""The failures of the trips' tool. Each message names the cause and the next step."""


class TripsError(Exception):
    """A command of the trips' tool failed."""


class NoPipError(TripsError):
    """No pip was found to download the trips with."""


class DownloadError(TripsError):
    """pip could not download the package that holds the trips."""


class TripsArchiveError(TripsError):
    """The downloaded archive does not have the expected content."""


class TripFileError(TripsError):
    """A source file is not a yellow-cab trip file, or holds no trips."""


class NoTripsError(TripsError):
    """There are no trips on the requested days."""


class UploadError(TripsError):
    """S3 cannot be reached, or refused an upload."""
