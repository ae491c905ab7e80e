#!/usr/bin/env python3
"""Separates debug information from programs (Python 3.9+, standard library, objcopy of binutils).

  packaging/strip.py PROGRAM... --into FOLDER --debug FOLDER

Each PROGRAM is copied to the folder of --into without debug information, which goes to --debug as .build-id/NN/NNNN.debug, where
debuggers look for it. Equal code gives equal bytes: what the compiler notes about itself (.swift_modhash, for incremental builds)
is blanked, and the build ID is that of the result.
"""
import argparse, hashlib, os, shutil, struct, subprocess, sys, tempfile

BLANKED = (".swift_modhash",)
BUILD_ID = ".note.gnu.build-id"


def sections(data):
    """Name to (offset, size) of the sections of a 64-bit little-endian ELF file."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("no 64-bit little-endian ELF file")
    table, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    rows = [struct.unpack_from("<IIQQQQIIQQ", data, table + size * number) for number in range(count)]
    start = rows[names][4]
    found = {}
    for row in rows:
        name = data[start + row[0]:data.index(b"\0", start + row[0])].decode()
        # Without contents in the file: .bss, and in debug files all that is in the program.
        if row[1] != 8:
            found[name] = (row[4], row[5])
    return found


def blank(path):
    """Blanks sections that say nothing about the program, and the build ID."""
    with open(path, "r+b") as file:
        data = file.read()
        places = sections(data)
        for name in BLANKED:
            if name in places:
                file.seek(places[name][0])
                file.write(bytes(places[name][1]))
        write_id(file, places, bytes(20))


def write_id(file, places, value):
    if BUILD_ID not in places:
        raise ValueError("no build ID: link with --build-id")
    offset, size = places[BUILD_ID]
    # A note: lengths of name and value, type, the name "GNU", the value.
    if size != 16 + len(value):
        raise ValueError("a build ID of %d bytes" % (size - 16))
    file.seek(offset + 16)
    file.write(value)


def separate(program, into, debug):
    name = os.path.basename(program)
    with tempfile.TemporaryDirectory() as folder:
        whole, symbols = os.path.join(folder, name), os.path.join(folder, "debug")
        stripped = os.path.join(into, name)
        shutil.copyfile(program, whole)
        blank(whole)
        subprocess.run(["objcopy", "--only-keep-debug", "--compress-debug-sections", whole, symbols], check=True)
        subprocess.run(["objcopy", "--strip-all", "--remove-section=.comment", whole, stripped], check=True)
        digest = hashlib.sha1()
        for path in (stripped, symbols):
            with open(path, "rb") as file:
                digest.update(file.read())
        build_id = digest.digest()
        for path in (stripped, symbols):
            with open(path, "r+b") as file:
                write_id(file, sections(file.read()), build_id)
        os.chmod(stripped, 0o755)
        place = os.path.join(debug, ".build-id", build_id.hex()[:2])
        os.makedirs(place, exist_ok=True)
        target = os.path.join(place, build_id.hex()[2:] + ".debug")
        shutil.copyfile(symbols, target)
        os.chmod(target, 0o644)


def main():
    parser = argparse.ArgumentParser(description="Separates debug information from programs.")
    parser.add_argument("programs", nargs="+", metavar="PROGRAM")
    parser.add_argument("--into", required=True)
    parser.add_argument("--debug", required=True)
    arguments = parser.parse_args()
    for program in arguments.programs:
        try:
            separate(program, arguments.into, arguments.debug)
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            sys.exit("strip: %s: %s" % (program, error))


if __name__ == "__main__":
    main()
