"""Extracts files from a wheel.

Arguments: WHEEL TREE FROM=TO [FROM=TO ...]

FROM is the path in the wheel of a file, or of a folder (ending in `/`), which is extracted with all
files below it. TO is the destination, relative to TREE. Reading a file verifies its CRC.
"""

import pathlib
import shutil
import sys
import zipfile

wheel, tree, *rules = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    names = [name for name in archive.namelist() if not name.endswith("/")]
    for rule in rules:
        source, target = rule.split("=")
        if source.endswith("/"):
            found = [name for name in names if name.startswith(source)]
        else:
            found = [name for name in names if name == source]
        if not found:
            sys.exit(f"{source} is not in {wheel}")
        for name in found:
            path = pathlib.Path(tree, target + name[len(source):])
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as packed, open(path, "wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
