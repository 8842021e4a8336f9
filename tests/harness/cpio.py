# SPDX-License-Identifier: GPL-2.0
"""Writes the `newc` archives that the kernel unpacks at boot (Documentation/driver-api/early-userspace/buffer-format.rst).

Devices and owners are only numbers in the archive, so no root is needed to make one.
"""

import stat
from pathlib import Path, PurePosixPath


class Archive:
    """An archive in memory. Missing parent folders are added. Everything belongs to root."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._folders: set[PurePosixPath] = {PurePosixPath(".")}
        self._inode = 0

    def folder(self, path: str, mode: int = 0o755) -> None:
        """Add a folder, unless it is there already."""
        name = PurePosixPath(path)
        if name in self._folders:
            return
        self._parents(name)
        self._folders.add(name)
        self._entry(name, stat.S_IFDIR | mode)

    def data(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        name = PurePosixPath(path)
        self._parents(name)
        self._entry(name, stat.S_IFREG | mode, content)

    def file(self, path: str, source: Path) -> None:
        """Add a copy of a file of the host. It is executable if the file is."""
        self.data(path, source.read_bytes(), 0o755 if source.stat().st_mode & 0o100 else 0o644)

    def tree(self, path: str, folder: Path) -> None:
        """Add copies of all that is in a folder of the host, with its symbolic links."""
        for source in sorted(folder.iterdir()):
            name = f"{path}/{source.name}"
            if source.is_symlink():
                self.symlink(name, str(source.readlink()))
            elif source.is_dir():
                self.folder(name)
                self.tree(name, source)
            elif source.is_file():
                self.file(name, source)

    def symlink(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        name = PurePosixPath(path)
        self._parents(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path: str, major: int, minor: int, mode: int = 0o600) -> None:
        """Add a character device."""
        name = PurePosixPath(path)
        self._parents(name)
        self._entry(name, stat.S_IFCHR | mode, device=(major, minor))

    def finish(self) -> bytes:
        """The archive with its trailer. Finished archives can be concatenated."""
        ended = Archive()
        ended._data = bytearray(self._data)
        ended._entry(PurePosixPath("TRAILER!!!"), 0)
        ended._pad()
        return bytes(ended._data)

    def _parents(self, name: PurePosixPath) -> None:
        if name.parent not in self._folders:
            self.folder(str(name.parent))

    def _entry(self, name: PurePosixPath, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        stored = str(name).lstrip("/").encode() + b"\0"
        numbers = (
            self._inode, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0, len(content),
            0, 0, device[0], device[1], len(stored), 0,
        )
        self._data += b"070701" + b"".join(b"%08X" % number for number in numbers)
        self._data += stored
        self._pad()
        self._data += content
        self._pad()

    def _pad(self) -> None:
        self._data += b"\0" * (-len(self._data) % 4)
