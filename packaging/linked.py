#!/usr/bin/env python3
"""Says what is inside the programs of a release build (Python 3.9+, standard library, readelf of binutils).

  packaging/linked.py copyright BUILD          debian/copyright (DEP-5): this software, and what is linked into the programs
  packaging/linked.py notice BUILD             the notices of those parts, whole, as their licences demand
  packaging/linked.py sbom BUILD SBIN VERSION  a bill of materials: SPDX 2.3 as JSON, of the stripped programs in SBIN
  packaging/linked.py pins BUILD|FILE          name and version of each package of sources, of a build or a Package.resolved

BUILD is the folder of the programs, such as .build/release. The linker's lists of files there say which modules are in the
programs, the checkouts say whose they are. A part whose licence this does not know is an error. SOURCE_DATE_EPOCH dates the bill.
"""
import datetime, glob, hashlib, json, os, re, subprocess, sys, textwrap

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = ["bcfg2-" + name for name in ("admin", "crypt", "info", "lint", "packages", "report-collector", "reports", "server",
                                         "test", "web")]
# Loaded at run time if a site uses them: docs/databases.md.
LOADED = ["libsqlite3.so.0", "libpq.so.5", "libmariadb.so.3"]
# What Swift's static libraries hold besides Swift: the library to look for in a link, its name, licence and holders.
RUNTIME = [
    ("Swift runtime, standard library and Foundation", "Apache-2.0 with Swift exception", "Apple Inc. and the Swift project authors",
     "https://github.com/swiftlang/swift"),
    ("ICU, in Swift's Foundation (bcfg2-web)", "Unicode-3.0", "2016-2025 Unicode, Inc.",
     "https://github.com/swiftlang/swift-foundation-icu"),
]
EXCEPTION = "Runtime Library Exception"


class Part:
    """A package of Swift sources, of which modules are in the programs."""

    def __init__(self, folder, pin):
        self.name = os.path.basename(folder)
        self.folder = folder
        self.location = pin["packageRef"]["location"]
        state = pin["state"]["checkoutState"]
        self.revision, self.version = state["revision"], state.get("version", state["revision"])
        self.sources = set()
        with open(next(iter(sorted(glob.glob(folder + "/LICENSE*"))), ""), encoding="utf-8") as file:
            text = file.read()
        if "Apache License" not in text or "Version 2.0" not in text:
            raise ValueError("%s: a licence that linked.py does not know" % folder)
        self.licence = "Apache-2.0 with Swift exception" if EXCEPTION in text else "Apache-2.0"

    def files(self, pattern):
        return sorted(path for source in self.sources
                      for path in glob.glob("%s/%s/**/%s" % (self.folder, source, pattern), recursive=True))

    def holders(self):
        """Those whom the sources of the linked modules name, without years."""
        found = set()
        for path in self.files("*.swift") + self.files("*.[ch]") + [self.folder + "/Package.swift"]:
            with open(path, encoding="utf-8", errors="replace") as file:
                for line in re.findall(r"Copyright \((?:c|C)\) (.*)", file.read(4000)):
                    who = re.sub(r"^[0-9, -]*", "", line).strip(" .*/\\n\"")
                    if who and "##" not in who and "YEAR" not in who:
                        found.add(who)
        return sorted(found)

    def further(self):
        """Licences of what others wrote within the linked modules: path below the package, and text."""
        for path in self.files("LICENSE*"):
            with open(path, encoding="utf-8") as file:
                yield os.path.relpath(path, self.folder), file.read()

    def notice(self):
        path = self.folder + "/NOTICE.txt"
        if not os.path.exists(path):
            return None
        with open(path, encoding="utf-8") as file:
            return file.read()


def owner(module, known):
    """The checkout that has a module: its folder, its pin, and the module's folder in it."""
    for folder, pin in known:
        if os.path.isdir("%s/Sources/%s" % (folder, module)):
            return folder, pin, "Sources/" + module
    for folder, pin in known:
        with open(folder + "/Package.swift", encoding="utf-8") as file:
            target = re.search(r'\.target\(\s*name: "%s",[^)]*?path: "([^"]*)"' % re.escape(module), file.read())
        if target:
            return folder, pin, target.group(1)
    raise ValueError("module %s is in no checkout" % module)


def parts(build):
    """The parts in the programs of a build, by name."""
    scratch = os.path.dirname(os.path.dirname(os.path.realpath(build)))
    with open(scratch + "/workspace-state.json", encoding="utf-8") as file:
        pins = json.load(file)["object"]["dependencies"]
    own = {re.sub(r"\W", "_", name) for name in os.listdir(HOME + "/Sources")}
    known = [(scratch + "/checkouts/" + pin["subpath"], pin) for pin in pins]
    found = {}
    for program in PROGRAMS:
        with open("%s/%s.product/Objects.LinkFileList" % (build, program), encoding="utf-8") as file:
            modules = set(re.findall(r"/([^/]+)\.build/", file.read()))
        for module in sorted(modules - own):
            folder, pin, source = owner(module, known)
            if folder not in found:
                found[folder] = Part(folder, pin)
            found[folder].sources.add(source)
    return sorted(found.values(), key=lambda part: part.name)


def pins(place):
    """The packages of sources that a build checked out, or that a Package.resolved names."""
    if os.path.isdir(place):
        scratch = os.path.dirname(os.path.dirname(os.path.realpath(place)))
        rows = [(pin["packageRef"]["identity"], pin["state"]["checkoutState"])
                for pin in json.loads(read(scratch + "/workspace-state.json"))["object"]["dependencies"]]
    else:
        rows = [(pin["identity"], pin["state"]) for pin in json.loads(read(place))["pins"]]
    # Not the commits: mirrors of these packages may have others for the same version.
    return "".join("%s %s\n" % (name, state.get("version", "-")) for name, state in sorted(rows))


def indented(text):
    """A text as a value of many lines in a Debian control file."""
    return "\n".join(" " + (line.rstrip() or ".") for line in text.strip().split("\n"))


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def copyright_file(build):
    found = parts(build)
    own = read(HOME + "/LICENSE")
    holder = re.search(r"Copyright \(c\) (.*)", own).group(1)
    out = ["Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
           "Upstream-Name: bcfg2-swift",
           "Comment:\n Besides this software, the programs contain the Swift packages and libraries below, linked statically.\n"
           " Their notices are in the file NOTICE beside this one. Sources are named as build tools check them out.",
           "", "Files: *", "Copyright: " + holder, "License: BSD-2-Clause", ""]
    texts = {"BSD-2-Clause": own.split("\n", 4)[4]}
    for part in found:
        out += ["Files: checkouts/%s/*" % part.name,
                "Copyright: " + "\n           ".join(part.holders() or ["the authors of " + part.name]),
                "License: " + part.licence,
                "Comment: version %s, %s" % (part.version, part.location), ""]
        for path, text in part.further():
            name = "%s-%s" % ("MIT" if "Permission is hereby granted, free of charge" in text else "other", part.name)
            if name.startswith("other"):
                raise ValueError("%s/%s: a licence that linked.py does not know" % (part.folder, path))
            who = re.search(r"Copyright (.*)", text)
            texts[name] = text
            out += ["Files: checkouts/%s/%s/*" % (part.name, os.path.dirname(path)),
                    "Copyright: " + re.sub(r"^(\([cC]\)|©) *", "", who.group(1)), "License: " + name, ""]
    for name, licence, holders, where in RUNTIME:
        out += ["Files: runtime/%s/*" % re.sub(r"\W.*", "", name), "Copyright: " + holders, "License: " + licence,
                "Comment: %s, %s" % (name, where), ""]
    apache = "On Debian systems the text is in /usr/share/common-licenses/Apache-2.0; also https://www.apache.org/licenses/LICENSE-2.0"
    texts["Apache-2.0"] = apache
    exception = next(read(path) for part in found if part.licence.endswith("exception")
                     for path in glob.glob(part.folder + "/LICENSE*"))
    exception = exception[exception.index(EXCEPTION):].split("\n", 1)[1]
    texts["Apache-2.0 with Swift exception"] = apache + "\n\nRuntime Library Exception to the Apache 2.0 License:\n\n" \
        + textwrap.dedent(exception).strip()
    texts["Unicode-3.0"] = read(HOME + "/packaging/licences/Unicode-3.0")
    for name in sorted(texts):
        out += ["License: " + name, indented(texts[name]), ""]
    return "\n".join(out[:-1]) + "\n"


def notice_file(build):
    out = ["What is linked into the programs of bcfg2-swift besides its own code, and the notices of these parts.\n"]
    for part in parts(build):
        out.append("%s\n%s %s, %s\n%s\n" % ("=" * 100, part.name, part.version, part.licence, part.location))
        for text in [part.notice()] + [text for _, text in part.further()]:
            if text:
                out.append(text.strip("\n") + "\n")
    out.append("=" * 100 + "\nICU, in bcfg2-web\n\n" + read(HOME + "/packaging/licences/Unicode-3.0"))
    return "\n".join(out)


def command(*words):
    result = subprocess.run(words, capture_output=True, text=True)
    return result.stdout if result.returncode == 0 else ""


def needed(sbin):
    """The shared libraries that each program links, without those of the C library itself."""
    result = {}
    for program in PROGRAMS:
        text = subprocess.run(["readelf", "-d", "%s/%s" % (sbin, program)], capture_output=True, text=True, check=True).stdout
        result[program] = [name for name in re.findall(r"NEEDED.*\[(.*)\]", text) if not name.startswith("ld-linux")]
    return result


def library(name):
    """The package and its version that a shared library comes from here; the name alone where dpkg does not know."""
    paths = re.findall(r"\b%s .*=> (.*)" % re.escape(name), command("/sbin/ldconfig", "-p"))
    for path in paths:
        for candidate in (os.path.realpath(path), path, re.sub("^/lib/", "/usr/lib/", path), re.sub("^/usr/lib/", "/lib/", path)):
            owner = command("dpkg-query", "-S", candidate).split(":")[0]
            if owner:
                version = command("dpkg-query", "-W", "-f", "${Version}\n", owner).split("\n")[0]
                return owner, version
    return None, None


def identifier(text):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", text)


def digest(path, name):
    with open(path, "rb") as file:
        return hashlib.new(name, file.read()).hexdigest()


def sbom(build, sbin, version):
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or datetime.datetime.now().timestamp())
    created = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    toolchain = re.search(r"Swift version (\S+)", command("swift", "--version") or "")
    packages, files, relations = [], [], []

    def package(name, spdx, number, licence, location, purl, purpose="LIBRARY"):
        entry = {"SPDXID": spdx, "name": name, "versionInfo": number, "downloadLocation": location or "NOASSERTION",
                 "filesAnalyzed": False, "licenseConcluded": licence, "licenseDeclared": licence,
                 "copyrightText": "NOASSERTION", "primaryPackagePurpose": purpose}
        if purl:
            entry["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}]
        packages.append(entry)
        return spdx

    def relate(one, kind, other):
        relations.append({"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other})

    main = package("bcfg2-swift", "SPDXRef-bcfg2-swift", version, "BSD-2-Clause", None, "pkg:generic/bcfg2-swift@" + version,
                   "APPLICATION")
    relate("SPDXRef-DOCUMENT", "DESCRIBES", main)
    spdx_names = {"Apache-2.0 with Swift exception": "Apache-2.0 WITH Swift-exception"}
    for part in parts(build):
        place = re.sub(r"^https?://|\.git$", "", part.location)
        spdx = package(part.name, identifier("swift-package-" + part.name), part.version,
                       spdx_names.get(part.licence, part.licence), "git+%s@%s" % (part.location, part.revision),
                       "pkg:swift/%s@%s" % (place, part.version))
        relate(main, "STATIC_LINK", spdx)
    number = toolchain.group(1) if toolchain else "NOASSERTION"
    relate(main, "STATIC_LINK", package("swift-runtime", "SPDXRef-swift-runtime", number, "Apache-2.0 WITH Swift-exception",
                                        "https://github.com/swiftlang/swift", "pkg:github/swiftlang/swift@%s" % number))
    relate(main, "STATIC_LINK", package("swift-foundation-icu", "SPDXRef-swift-foundation-icu", number, "Unicode-3.0",
                                        "https://github.com/swiftlang/swift-foundation-icu", None))
    libraries = {}
    for program, names in needed(sbin).items():
        path = "%s/%s" % (sbin, program)
        spdx = identifier("file-" + program)
        files.append({"SPDXID": spdx, "fileName": "./usr/sbin/" + program, "fileTypes": ["BINARY"], "licenseConcluded": "NOASSERTION",
                      "copyrightText": "NOASSERTION",
                      "checksums": [{"algorithm": name.upper(), "checksumValue": digest(path, name)} for name in ("sha1", "sha256")]})
        relate(main, "CONTAINS", spdx)
        for name in names:
            libraries.setdefault(name, []).append(spdx)
    for name in sorted(libraries) + LOADED:
        owner, release = library(name)
        spdx = package(owner or name, identifier("library-" + name), release or "NOASSERTION", "NOASSERTION", None,
                       "pkg:deb/debian/%s@%s" % (owner, release) if owner else None)
        for program in libraries.get(name, []):
            relate(program, "DYNAMIC_LINK", spdx)
        if name not in libraries:
            relate(spdx, "OPTIONAL_DEPENDENCY_OF", main)
    body = {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "bcfg2-swift-" + version,
            "creationInfo": {"created": created, "creators": ["Tool: bcfg2-swift packaging/linked.py"]},
            "packages": packages, "files": files, "relationships": relations}
    mark = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:32]
    body["documentNamespace"] = "https://bcfg2-swift.example/spdx/bcfg2-swift-%s-%s" % (version, mark)
    return json.dumps(body, indent=1, sort_keys=True) + "\n"


def main():
    words = sys.argv[1:]
    tools = {("copyright", 2): copyright_file, ("notice", 2): notice_file, ("sbom", 4): sbom, ("pins", 2): pins}
    tool = tools.get((words[0] if words else "", len(words)))
    if not tool:
        sys.exit(__doc__)
    try:
        sys.stdout.write(tool(*words[1:]))
    except (OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
        sys.exit("linked: %s" % error)


if __name__ == "__main__":
    main()
