"""Primitive values of dlib's serialisation format (dlib/serialize.h), read from bytes."""

import numpy as np

NEGATIVE = 0x80
"""Bit of an integer's control byte that says the value is negative."""

LENGTH = 0x0F
"""Bits of an integer's control byte that hold the number of magnitude bytes."""

MAX_LENGTH = 8
"""Longest magnitude in bytes."""

SPECIAL_EXPONENT = 32000
"""From this exponent on a float is an infinity or not a number."""

TENSOR_VERSION = 2
ALIAS_TENSOR_VERSION = 1


class DlibFormatError(ValueError):
    """The bytes are not what dlib's format has at this place."""


class DlibReader:
    """Reads values one after the other; `position` is the offset of the next one."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data = data
        self.position = position

    def integer(self) -> int:
        """Control byte, then a little-endian magnitude of up to 8 bytes."""
        start = self.position
        control = int.from_bytes(self._take(1), "little")
        length = control & LENGTH
        if control & ~(NEGATIVE | LENGTH) or length > MAX_LENGTH:
            raise DlibFormatError(f"byte {start}: {control:#04x} does not begin an integer")
        magnitude = int.from_bytes(self._take(length), "little")
        return -magnitude if control & NEGATIVE else magnitude

    def integers(self, count: int) -> tuple[int, ...]:
        """`count` integers."""
        return tuple(self.integer() for _ in range(count))

    def floating(self) -> float:
        """Integer mantissa and integer binary exponent."""
        start = self.position
        mantissa, exponent = self.integers(2)
        if exponent >= SPECIAL_EXPONENT:
            raise DlibFormatError(f"byte {start}: expected a finite number, found exponent {exponent}")
        return mantissa * 2.0**exponent

    def text(self) -> str:
        """Length, then one byte per character."""
        return self._take(self.integer()).decode("latin1")

    def tensor(self) -> np.ndarray:
        """Four sizes (samples, channels, rows, columns), then little-endian float32 values."""
        self._version("tensor", TENSOR_VERSION)
        shape = self.integers(4)
        return np.frombuffer(self._take(4 * int(np.prod(shape))), "<f4").reshape(shape)

    def alias_tensor(self) -> tuple[int, ...]:
        """Shape of a view into another tensor."""
        self._version("alias tensor", ALIAS_TENSOR_VERSION)
        return self.integers(4)

    def _version(self, what: str, expected: int) -> None:
        start = self.position
        found = self.integer()
        if found != expected:
            raise DlibFormatError(f"byte {start}: expected {what} version {expected}, found {found}")

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self.data):
            raise DlibFormatError(f"byte {self.position}: {count} bytes wanted, {len(self.data) - self.position} left")
        taken = self.data[self.position : end]
        self.position = end
        return taken
