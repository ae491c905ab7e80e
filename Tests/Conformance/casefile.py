"""case.json: which keys it may have, what a case needs of the server and of the machine, which cases are meant."""
import argparse
import fnmatch
import json
import os
import shutil

CASE_KEYS = {"description": str, "plugins": list, "conf": dict, "links": dict, "server": bool, "replace": list, "requires": list,
             "steps": list}
COMPARED = {"ignore", "loose_text", "shape", "exact_failure"}
# What a step may have beside the key that names its kind.
STEP_KEYS = {
    "call": COMPARED | {"params", "from", "user", "password", "cert", "sorted"}, "read": COMPARED,
    "write": {"text", "base64", "mode", "repeat"}, "delete": set(), "rename": {"to"}, "mkdir": set(), "symlink": {"to"},
    "restart": set(), "run": COMPARED | {"args", "input", "errors", "lines", "sorted", "exit_only", "file"},
    "sql": {"database"}, "settle": set(),
}


class Mistake(Exception):
    """Something that whoever wrote the case or the command line has to mend."""


# What a case may need beside the plugins that it names. `requires` in case.json names what cannot be seen.
NEEDS = {
    "server": "a server that answers calls; all but cases of tools alone",
    "tools": "programs beside the server: bcfg2-info and so on; each is a capability of its own, too",
    "files": "files of Bcfg2's form that the server writes into the repository, such as clients.xml",
    "sql": "tables of Bcfg2's form in an SQLite file",
    "use_database": "clients or probe data in a database",
    "web": "the server fetches files by HTTP",
    "certificates": "clients that show a certificate",
    "genshi": "Genshi templates", "cheetah": "Cheetah templates", "jinja2": "Jinja2 templates",
    "git": "that program",
}
TOOLS = ("bcfg2-admin", "bcfg2-crypt", "bcfg2-info", "bcfg2-lint", "bcfg2-report-collector", "bcfg2-reports", "bcfg2-test")
PROGRAMS = ("git",)


def needs_of(case):
    """What a server, and this machine, must have to pass a case: names of NEEDS, of tools and of plugins."""
    found = set(case["plugins"]) | set(case.get("requires", []))
    for step in case["steps"]:
        if "run" in step:
            found |= {"tools", step["run"]}
        found |= {name for key, name in (("sql", "sql"), ("read", "files"), ("cert", "certificates")) if step.get(key)}
    if case.get("server", True):
        found.add("server")
    if any(options.get("use_database") == "true" for options in case.get("conf", {}).values()):
        found.add("use_database")
    if os.path.isdir(os.path.join(case["dir"], "www")):
        found.add("web")
    for folder, _, names in os.walk(os.path.join(case["dir"], "repo")):
        for name in names:
            path = os.path.join(folder, name)
            found |= {engine for engine in ("genshi", "cheetah", "jinja2") if "." + engine in name}
            if name.endswith((".xml", ".genshi")) and os.path.isfile(path):
                with open(path, errors="replace") as f:
                    if "genshi.edgewall.org" in f.read():
                        found.add("genshi")
    return found


def known_needs(cases):
    """All names that --without understands."""
    return set(NEEDS) | set(TOOLS) | {plugin for case in cases for plugin in case["plugins"]}


def missing(case, without):
    """Why a case cannot be played, or None."""
    needs = needs_of(case)
    absent = sorted(needs & set(without))
    if absent:
        return "without " + ", ".join(absent)
    absent = [program for program in PROGRAMS if program in needs and not shutil.which(program)]
    return "no program " + ", ".join(absent) if absent else None


def setting(text):
    """SECTION.OPTION=VALUE in its three parts."""
    place, equals, value = text.partition("=")
    section, dot, option = place.partition(".")
    if not (equals and dot and section and option):
        raise argparse.ArgumentTypeError("not SECTION.OPTION=VALUE: %r" % text)
    return section, option, value


def load(folder, names, settings=()):
    further = {}
    for section, option, value in settings:
        further.setdefault(section, {})[option] = value
    cases = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name, "case.json")
        if os.path.exists(path) and (not names or any(fnmatch.fnmatch(name, n) for n in names)):
            with open(path) as f:
                case = json.load(f)
            wrong = mistakes(case)
            if wrong:
                raise Mistake("%s: %s" % (path, "; ".join(wrong)))
            case.update(name=name, dir=os.path.join(folder, name), further_conf=further)
            cases.append(case)
    for name in names:
        if not any(fnmatch.fnmatch(case["name"], name) for case in cases):
            raise Mistake("%s: no case has this name" % name)
    return cases


def mistakes(case):
    """What is wrong with the form of a case.json; an unknown key would otherwise compare less, or more, than was meant."""
    found = ["unknown key: %s" % key for key in case if key not in CASE_KEYS]
    found += ["%s is missing" % key for key in ("description", "plugins", "steps") if key not in case]
    found += ["%s is no %s" % (key, kind.__name__) for key, kind in CASE_KEYS.items() if not isinstance(case.get(key, kind()), kind)]
    found += ["requires: unknown: %s" % need for need in case.get("requires", []) if need not in NEEDS]
    if found:
        return found
    for number, step in enumerate(case["steps"]):
        kinds = [kind for kind in STEP_KEYS if kind in step]
        if len(kinds) != 1:
            found.append("step %d has %s of: %s" % (number, "none" if not kinds else "several", ", ".join(STEP_KEYS)))
        else:
            found += ["step %d, %s: unknown key: %s" % (number, kinds[0], key)
                      for key in step if key != kinds[0] and key not in STEP_KEYS[kinds[0]]]
    return found
