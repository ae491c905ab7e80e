"""Which methods, plugins, tools and options have cases: `conform.py coverage`, which writes coverage.md."""
import collections

# Plugins of Bcfg2 1.3.4 and 1.4.
PLUGINS = """ACL AWSTags Account Base Bundler Bzr Cfg Cvs DBStats Darcs Decisions Defaults Deps Editor FileProbes Fossil Git
GroupLogic GroupPatterns Guppy Hg Hostbase Ldap Metadata NagiosGen Ohai POSIXCompat Packages Pkgmgr Probes Properties PuppetENC
Reporting Rules SEModules SGenshi SSHbase SSLCA ServiceCompat Snapshots Statistics Svn TCheetah TGenshi TemplateHelper
Trigger""".split()
# Sections of one case's bcfg2.conf, which is a configuration of openssl at the same time.
FOREIGN_SECTIONS = {"c", "ca", "p"}
EXAMPLES = 3


def rows(found):
    """Lines of a table: name, number of cases, some of them."""
    for name, cases in sorted(found.items()):
        cases = sorted(set(cases))
        more = ", ..." if len(cases) > EXAMPLES else ""
        yield "| `%s` | %d | %s%s |" % (name, len(cases), ", ".join(cases[:EXAMPLES]), more)


def table(title, found):
    return ["## " + title, "", "| | Cases | For example |", "|---|---|---|", *rows(found), ""]


def mode_of(step):
    """A tool and its mode: its first argument that is neither an option nor the value of -C."""
    arguments = list(step.get("args", []))
    while arguments and arguments[0].startswith("-"):
        arguments = arguments[2 if arguments[0] in ("-C", "-Q", "-E", "-W", "-x", "-o") else 1:]
    modes = {"bcfg2-admin", "bcfg2-info", "bcfg2-reports"}
    return " ".join([step["run"]] + (arguments[:1] if step["run"] in modes else []))


def tables(cases, recordings):
    methods, plugins, tools, options = (collections.defaultdict(list) for _ in range(4))
    offered = set()
    for case in cases:
        name = case["name"]
        for plugin in case["plugins"]:
            plugins[plugin].append(name)
        for section, settings in case.get("conf", {}).items():
            if section not in FOREIGN_SECTIONS:
                for option in settings:
                    options["[%s] %s" % (section, option)].append(name)
        for number, step in enumerate(case["steps"]):
            if "call" in step:
                answers = [answers[number] for answers in recordings(case).values()]
                if step["call"] == "listMethods":
                    offered |= {method for answer in answers for method in answer.get("value", [])}
                # A method that nobody has is called by cases of access lists and of errors.
                if any("value" in answer or "xml" in answer for answer in answers):
                    methods[step["call"]].append(name)
            elif "run" in step:
                tools[mode_of(step)].append(name)
    lines = ["# What has cases", "", "Written by `conform.py coverage`. %d cases, %d steps that are compared." % (
        len(cases), sum(key in step for case in cases for step in case["steps"] for key in ("call", "read", "run", "sql"))), ""]
    lines += table("Methods", methods)
    lines += ["No case calls: " + ", ".join("`%s`" % name for name in sorted(offered - set(methods))) + ".", ""]
    lines += table("Plugins", plugins)
    lines += ["No case has: " + ", ".join("`%s`" % name for name in sorted(set(PLUGINS) - set(plugins))) + ".", ""]
    lines += table("Tools and their modes", tools)
    lines += table("Options of bcfg2.conf", options)
    return "\n".join(lines).rstrip()
