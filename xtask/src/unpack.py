"""Takes files out of a wheel: WHEEL TREE FROM=TO [FROM=TO ...].

FROM is a file within the wheel, or a folder (ending in `/`) of which everything below is taken;
TO is where it goes below TREE. The archive's checksums are checked along the way.
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
