#!/usr/bin/env python3
"""Makes a yum repository of invented packages: writes RPM files that hold only a header, and has createrepo_c index them.

  rpmrepo.py FOLDER [--packages 10000] [--seed 1] [--compress gz,xz,zst]

FOLDER/rpms holds the packages; FOLDER/gz, FOLDER/xz, FOLDER/zst are repositories over the same packages (repodata only).
The packages have what real ones have and resolvers get wrong: several versions of a name, epochs, tildes, several
architectures, paths as dependencies, versioned provides, names that several packages provide, rich and weak dependencies,
blank groups. The same seed gives the same bytes.
"""
import argparse
import gzip
import hashlib
import os
import random
import shutil
import struct
import subprocess

STRING, INT32, STRING_ARRAY, I18N, INT16, BINARY = 6, 4, 8, 9, 3, 7
LESS, GREATER, EQUAL = 2, 4, 8
# Dependencies with this flag are conditions in brackets, not names.
RICH = 1 << 27


def region(tag, entries):
    """A header with its entries (tag, type, value) in one region, as librpm wants it."""
    index, store = [], b""
    for number, kind, value in sorted(entries):
        if kind in (INT32, INT16):
            width = 4 if kind == INT32 else 2
            store += b"\0" * (-len(store) % width)
            data = b"".join(struct.pack(">I" if kind == INT32 else ">H", v) for v in value)
            count = len(value)
        elif kind == BINARY:
            data, count = value, len(value)
        elif kind in (STRING, I18N):
            data, count = value.encode() + b"\0", 1
        else:
            data, count = b"".join(v.encode() + b"\0" for v in value), len(value)
        index.append((number, kind, len(store), count))
        store += data
    trailer = struct.pack(">IIiI", tag, BINARY, -16 * (len(index) + 1), 16)
    index.insert(0, (tag, BINARY, len(store), 16))
    store += trailer
    head = b"\x8e\xad\xe8\x01" + b"\0" * 4 + struct.pack(">II", len(index), len(store))
    return head + b"".join(struct.pack(">IIII", *entry) for entry in index) + store


def rpm(package):
    """The bytes of one RPM file with an empty payload."""
    entries = [
        (1000, STRING, package["name"]), (1001, STRING, package["version"]), (1002, STRING, package["release"]),
        (1004, I18N, "invented"), (1005, I18N, "An invented package."), (1006, INT32, [1600000000]),
        (1009, INT32, [0]), (1014, STRING, "none"), (1016, I18N, "Unspecified"), (1021, STRING, "linux"),
        (1022, STRING, package["arch"]), (1044, STRING, package["name"] + ".src.rpm"), (1124, STRING, "cpio"),
        (1125, STRING, "gzip"), (1126, STRING, "9")]
    if package["epoch"]:
        entries.append((1003, INT32, [package["epoch"]]))
    # (name, version, flags) of each kind of relation, and the three tags that hold them.
    for kind, (names, versions, flags) in {"provides": (1047, 1113, 1112), "requires": (1049, 1050, 1048),
                                           "conflicts": (1054, 1055, 1053), "obsoletes": (1090, 1115, 1114),
                                           "recommends": (5046, 5047, 5048), "suggests": (5049, 5050, 5051),
                                           "supplements": (5052, 5053, 5054), "enhances": (5055, 5056, 5057)}.items():
        some = package.get(kind)
        if some:
            entries += [(names, STRING_ARRAY, [s[0] for s in some]), (versions, STRING_ARRAY, [s[1] for s in some]),
                        (flags, INT32, [s[2] for s in some])]
    files = package.get("files")
    if files:
        folders = sorted({os.path.dirname(f) + "/" for f in files})
        entries += [(1116, INT32, [folders.index(os.path.dirname(f) + "/") for f in files]),
                    (1117, STRING_ARRAY, [os.path.basename(f) for f in files]), (1118, STRING_ARRAY, folders),
                    (1028, INT32, [0] * len(files)), (1030, INT16, [0o100755] * len(files)),
                    (1034, INT32, [1600000000] * len(files)), (1035, STRING_ARRAY, [""] * len(files)),
                    (1036, STRING_ARRAY, [""] * len(files)), (1037, INT32, [0] * len(files)),
                    (1039, STRING_ARRAY, ["root"] * len(files)), (1040, STRING_ARRAY, ["root"] * len(files)),
                    (1033, INT16, [0] * len(files)), (1045, INT32, [0] * len(files))]
    header = region(63, entries)
    lead = struct.pack(">4sBBhh66shh16s", b"\xed\xab\xee\xdb", 3, 0, 0, 1, package["name"].encode()[:65], 1, 5, b"")
    signature = region(62, [(1000, INT32, [len(header)]), (1007, INT32, [0])])
    return lead + signature + b"\0" * (-len(signature) % 8) + header


def invent(count, seed):
    """Invented packages: dictionaries for rpm()."""
    chance = random.Random(seed)
    names = ["%s%s" % (chance.choice(["lib", "python3-", "perl-", "", "", "golang-", "texlive-"]),
                       "".join(chance.choice("abcdefghiklmnoprstuvwxyz") for _ in range(chance.randint(3, 9))) + str(n))
             for n in range(count * 5 // 6)]
    capabilities = ["cap%d" % n for n in range(count // 20)] + ["lib%d.so.1()(64bit)" % n for n in range(count // 4)]
    owner = {c: chance.choice(names) for c in capabilities}
    shared = set(chance.sample(capabilities, len(capabilities) // 8))
    # Like real ones: a package needs packages that were there before it, mostly the few that everybody needs.
    rank = {name: n for n, name in enumerate(names)}
    owned = {}
    for c, name in owner.items():
        owned.setdefault(name, []).append(c)

    def earlier(name):
        top = rank[name]
        return names[min(int(top * chance.random() ** 2.5), max(top - 1, 0))]

    packages = []
    for name in names:
        versions = 1 if chance.random() < 0.85 else chance.randint(2, 4)
        arch = "noarch" if chance.random() < 0.3 else "x86_64"
        made = []
        for _ in range(versions):
            version = ".".join(str(chance.randint(0, 12)) for _ in range(chance.randint(1, 4)))
            if chance.random() < 0.08:
                version += chance.choice(["~rc1", "~rc2", "^git3", "a", "_2", "b~1"])
            release = "%d%s" % (chance.randint(1, 30), chance.choice(["", ".el9", ".el9_2", ".fc40"]))
            epoch = chance.choice([0, 0, 0, 0, 0, 0, 0, 1, 2])
            if (epoch, version, release) not in made:
                made.append((epoch, version, release))
        for epoch, version, release in made:
            full = "%s%s-%s" % ("%d:" % epoch if epoch else "", version, release)
            provides = [(name, full, EQUAL), ("%s(x86-64)" % name, full, EQUAL)]
            provides += [(c, "", 0) for c in owned.get(name, [])]
            provides += [(c, version, EQUAL) if chance.random() < 0.5 else (c, "", 0)
                         for c in chance.sample(sorted(shared), 1) if chance.random() < 0.15]
            requires = []
            for _ in range(chance.choice([0, 1, 1, 2, 2, 3, 5, 8])):
                kind = chance.random()
                other = earlier(name)
                if kind < 0.45:
                    requires.append((other, "", 0))
                elif kind < 0.6:
                    requires.append((other, "0", GREATER | EQUAL))
                elif kind < 0.9:
                    c = chance.choice(owned.get(other, [other]))
                    requires.append((c, "", 0))
                elif kind < 0.95:
                    requires.append(("/usr/bin/%s" % other, "", 0))
                elif kind < 0.97:
                    requires.append((chance.choice(sorted(shared)), "", 0))
                elif kind < 0.98:
                    requires.append(("missing%d" % chance.randint(1, 50), "", 0))
                else:
                    text = chance.choice(["(%s if %s)", "(%s or %s)", "(%s and %s)", "(%s unless %s)", "(%s with %s)"])
                    requires.append((text % (other, earlier(name)), "", RICH))
            if chance.random() < 0.6:
                requires.append(("rpmlib(CompressedFileNames)", "3.0.4-1", LESS | EQUAL | (1 << 24)))
            package = {"name": name, "epoch": epoch, "version": version, "release": release, "arch": arch,
                       "provides": provides, "requires": list(dict.fromkeys(requires))}
            if chance.random() < 0.15:
                package["recommends"] = [(earlier(name), "", 0)]
            if chance.random() < 0.03:
                package["supplements"] = [("(%s and %s)" % (earlier(name), earlier(name)), "", RICH)]
            if chance.random() < 0.02:
                package["conflicts"] = [(earlier(name), "0", LESS)]
            if chance.random() < 0.03:
                package["obsoletes"] = [(name + "-old", version, LESS)]
            if chance.random() < 0.5:
                package["files"] = ["/usr/bin/" + name, "/usr/share/doc/%s/README" % name]
                if chance.random() < 0.05:
                    package["files"].append("/usr/bin/shared%d" % chance.randint(1, 20))
            packages.append(package)
    chance.shuffle(packages)
    return packages


def comps(packages, seed):
    chance = random.Random(seed)
    names = sorted({p["name"] for p in packages})
    groups = ["<comps>"]
    for group in ("core", "base", "desktop", "empty"):
        groups.append("<group><id>%s</id><name>%s group</name><packagelist>" % (group, group.title()))
        for kind in ("mandatory", "default", "optional", "conditional"):
            for name in chance.sample(names, 0 if group == "empty" else min(8, len(names))):
                groups.append('<packagereq type="%s"%s>%s</packagereq>' % (
                    kind, ' requires="%s"' % chance.choice(names) if kind == "conditional" else "", name))
        groups.append("</packagelist></group>")
    return "\n".join(groups + ["</comps>"])


def recompress(repository):
    """Turns a gz repository into one of zst, as later versions of createrepo_c write it: 0.17 cannot."""
    repodata = os.path.join(repository, "repodata")
    path = os.path.join(repodata, "repomd.xml")
    with open(path) as f:
        text = f.read()
    for name in sorted(os.listdir(repodata)):
        if not name.endswith(".gz"):
            continue
        with open(os.path.join(repodata, name), "rb") as f:
            packed = f.read()
        again = subprocess.run(["zstd", "-q", "-c"], input=gzip.decompress(packed), stdout=subprocess.PIPE, check=True).stdout
        old, new = hashlib.sha256(packed).hexdigest(), hashlib.sha256(again).hexdigest()
        text = text.replace("%s%s" % (old, name[64:]), "%s%s" % (new, name[64:-3] + ".zst")).replace(old, new)
        text = text.replace("<size>%d</size>" % len(packed), "<size>%d</size>" % len(again)).replace('"group_gz"', '"group_zst"')
        os.remove(os.path.join(repodata, name))
        with open(os.path.join(repodata, new + name[64:-3] + ".zst"), "wb") as f:
            f.write(again)
    with open(path, "w") as f:
        f.write(text)


def make(folder, count, seed, kinds):
    rpms = os.path.join(folder, "rpms")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(rpms)
    packages = invent(count, seed)
    for p in packages:
        path = os.path.join(rpms, "%(name)s-%(version)s-%(release)s-%(epoch)d.%(arch)s.rpm" % p)
        with open(path, "wb") as f:
            f.write(rpm(p))
        os.utime(path, (1600000000, 1600000000))
    with open(os.path.join(folder, "comps.xml"), "w") as f:
        f.write(comps(packages, seed))
    for kind in kinds:
        output = os.path.join(folder, kind)
        os.makedirs(output)
        made = "gz" if kind == "zst" else kind
        # createrepo_c writes primary and filelists with the general type only. It warns of rpm's own missing settings.
        subprocess.run(["createrepo_c", "-q", "--workers", "1", "--revision", "1", "--set-timestamp-to-revision", "--no-database",
                        "--groupfile", os.path.join(folder, "comps.xml"), "--compress-type", made,
                        "--general-compress-type", made, "--outputdir", output, rpms], check=True, stderr=subprocess.DEVNULL)
        if kind == "zst":
            recompress(output)
    return packages


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--packages", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compress", default="gz,xz,zst")
    options = parser.parse_args()
    make(options.folder, options.packages, options.seed, options.compress.split(","))


if __name__ == "__main__":
    main()
