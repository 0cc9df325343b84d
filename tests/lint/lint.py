"""What the lint scripts share: the tree's own files, C without comments, and how a finding is told."""
import os
import re
import subprocess
import sys

FOLDERS = ("sadb", "spd", "shim", "tools", "tests")


def root():
    """The top of the tree: the first argument, or two folders up."""
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", ".."))


def files(top, suffixes=None):
    """Our files below the top, sorted: what git knows or could add, or (in a tarball) what lies there."""
    try:
        text = subprocess.run(
            ["git", "-C", top, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, check=True, text=True).stdout
        names = [n for n in text.split("\0") if n]
    except (OSError, subprocess.CalledProcessError):
        names = [os.path.relpath(os.path.join(d, n), top)
                 for f in FOLDERS for d, _, ns in os.walk(os.path.join(top, f)) for n in ns]
    return sorted(n for n in names
                  if os.path.isfile(os.path.join(top, n)) and (not suffixes or n.endswith(suffixes)))


def read(top, name):
    with open(os.path.join(top, name), encoding="utf-8", errors="replace") as f:
        return f.read()


def code(text, strings=True):
    """C with comments (and, if asked, the inside of strings) blanked, so that line numbers stay."""
    def blank(m):
        s = m.group(0)
        if s[0] in "\"'":
            return s if strings else s[0] + " " * (len(s) - 2) + s[-1]
        return re.sub(r"[^\n]", " ", s)
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def report(found, what, checked):
    """Prints each finding; the exit status says whether there was one, or nothing to look at."""
    for line in found:
        print(line)
    if not checked:
        print("nothing was checked: is this the top of the tree?")
        sys.exit(1)
    print(f"{checked} {what}, {len(found)} finding{'' if len(found) == 1 else 's'}")
    sys.exit(1 if found else 0)
