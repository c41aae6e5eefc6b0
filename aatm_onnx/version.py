"""The version that is installed."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("aatm-onnx")  # pyproject.toml says it
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"
