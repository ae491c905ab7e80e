#!/usr/bin/env python3
"""Writes the manual pages and the completion scripts of the commands (Python 3.9+, standard library only).

  scripts/manuals.py BIN FOLDER

BIN is the folder of the built commands. FOLDER gets man/man8/COMMAND.8 for each command that is there, man/man5/bcfg2.conf.5, and
completions/bash/COMMAND, completions/zsh/_COMMAND, completions/fish/COMMAND.fish. All is made from what the commands declare: their
--help and --experimental-dump-help, and docs/configuration.md, which is that of the declared options.
"""
import json, os, re, subprocess, sys

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COMMANDS = ["bcfg2-admin", "bcfg2-crypt", "bcfg2-info", "bcfg2-lint", "bcfg2-packages", "bcfg2-report-collector", "bcfg2-reports",
            "bcfg2-test", "bcfg2-web"]
SHELLS = {"bash": "bash/{}", "zsh": "zsh/_{}", "fish": "fish/{}.fish"}
SERVER = "bcfg2-server"


def roff(text):
    """Text as roff shows it."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def bold(text):
    return "\\fB" + roff(text) + "\\fR"


def italic(text):
    return "\\fI" + roff(text) + "\\fR"


def markdown(text):
    """One line of Markdown: code is bold, links are their text."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text.replace("\\|", "|"))
    parts = re.split(r"`([^`]*)`", text)
    return "".join(bold(part) if index % 2 else roff(part) for index, part in enumerate(parts))


def head(name, section, abstract):
    return ['.TH "%s" "%s" "" "bcfg2\\-swift" "Bcfg2"' % (roff(name.upper()), section), ".SH NAME",
            "%s \\- %s" % (roff(name), roff(abstract.rstrip(".")))]


def names(argument):
    """The names of an option, and its value."""
    if argument["kind"] == "positional":
        words = italic(argument.get("valueName", ""))
    else:
        words = ", ".join(bold(("--" if name["kind"] == "long" else "-") + name["name"]) for name in argument.get("names", []))
        if argument["kind"] == "option":
            words += " " + italic(argument.get("valueName", ""))
    return words + (" ..." if argument.get("isRepeating") else "")


def usage(command, path):
    words = [bold(" ".join(path))]
    shown = [a for a in command.get("arguments", []) if a.get("shouldDisplay", True)]
    if any(a["kind"] != "positional" for a in shown):
        words.append("[" + italic("options") + "]")
    for argument in shown:
        if argument["kind"] == "positional":
            word = names(argument)
            words.append("[%s]" % word if argument.get("isOptional") else word)
    return " ".join(words)


def paragraphs(text):
    lines = []
    for paragraph in text.split("\n\n"):
        lines += [".PP", roff(paragraph)]
    return lines


def arguments(command):
    lines = []
    for argument in command.get("arguments", []):
        if not argument.get("shouldDisplay", True):
            continue
        text = argument.get("abstract", "")
        if argument.get("allValues"):
            text += " One of: " + ", ".join(argument["allValues"]) + "."
        if argument.get("defaultValue"):
            text += " Default: " + argument["defaultValue"] + "."
        lines += [".TP", names(argument), roff(text.strip())]
    return lines


def modes(command, path):
    """The modes of a command, each with its own options."""
    lines = []
    for mode in command.get("subcommands", []):
        if mode["commandName"] == "help" or not mode.get("shouldDisplay", True):
            continue
        here = path + [mode["commandName"]]
        lines += [".SS " + roff(" ".join(here[1:])), ".PP", usage(mode, here)]
        if mode.get("abstract"):
            lines += [".PP", roff(mode["abstract"])]
        if mode.get("discussion"):
            lines += paragraphs(mode["discussion"])
        lines += arguments(mode) + modes(mode, here)
    return lines


def run(program, *words):
    done = subprocess.run([program, *words], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, timeout=60)
    if done.returncode != 0 or not done.stdout:
        sys.exit("%s %s: exit status %d" % (program, " ".join(words), done.returncode))
    return done.stdout


def declarations(program):
    """What a command declares; None for one that was built without what it needs."""
    done = subprocess.run([program, "--experimental-dump-help"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, timeout=60)
    return json.loads(done.stdout)["command"] if done.returncode == 0 else None


def command_page(program, name, command):
    lines = head(name, "8", command.get("abstract", "")) + [".SH SYNOPSIS"]
    found = re.search(r"^USAGE: (.*(?:\n +.*)*)", run(program, "--help"), re.M)
    lines.append(roff(" ".join(found.group(1).split())) if found else usage(command, [name]))
    if command.get("discussion"):
        lines += [".SH DESCRIPTION"] + paragraphs(command["discussion"])
    own = arguments(command)
    if own:
        lines += [".SH OPTIONS"] + own
    of_modes = modes(command, [name])
    if of_modes:
        lines += [".SH MODES"] + of_modes
    return lines + [".SH FILES", ".TP", bold("/etc/bcfg2.conf"), "Options: see", ".BR bcfg2.conf (5)."]


def server_page(program):
    lines = head(SERVER, "8", "serve Bcfg2 clients") + [".SH SYNOPSIS", bold(SERVER) + " [" + italic("option") + "] ...", ".SH OPTIONS"]
    rest = []
    for line in run(program, "--help").splitlines()[2:]:
        found = re.match(r"^ +((?:-\S, )?--\S+) +(\S.*)$", line)
        if found:
            lines += [".TP", bold(found.group(1)), roff(found.group(2))]
        elif line.strip():
            rest += [".PP", roff(line.strip())]
    return lines + [".SH FILES", ".TP", bold("/etc/bcfg2.conf"), "Options: see", ".BR bcfg2.conf (5)."] + rest


def configuration_page():
    lines = head("bcfg2.conf", "5", "options of the Bcfg2 server and its commands") + [".SH DESCRIPTION"]
    heads = None
    with open(os.path.join(HOME, "docs/configuration.md"), encoding="utf-8") as file:
        for line in file.read().splitlines()[1:]:
            if line.startswith("#"):
                title = line.lstrip("#").strip()
                lines += [(".SH " if not title.startswith("[") else ".SS ") + roff(title.replace("`", ""))]
                heads = None
            elif line.startswith("|"):
                cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
                if heads is None:
                    heads = cells
                elif set("".join(cells)) <= set("-: "):
                    continue
                elif len(cells) == 4 and heads[0] == "Option":
                    lines += [".TP", "%s (%s; default: %s)" % tuple(markdown(cell) for cell in cells[:3]), markdown(cells[3])]
                else:
                    lines += [".TP", markdown(cells[0])] + [markdown(cell) for cell in cells[1:] if cell]
            else:
                heads = None
                if line and not line.startswith("<!--"):
                    lines += [".PP", markdown(line)]
    return lines


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    place, folder = sys.argv[1:]
    write(os.path.join(folder, "man/man5/bcfg2.conf.5"), "\n".join(configuration_page()) + "\n")
    for name in [SERVER] + COMMANDS:
        program = os.path.join(os.path.abspath(place), name)
        if not os.access(program, os.X_OK):
            print("%s is not there" % program, file=sys.stderr)
            continue
        if name == SERVER:
            page = server_page(program)
        else:
            command = declarations(program)
            if command is None:
                print("%s does not tell its declarations" % program, file=sys.stderr)
                continue
            page = command_page(program, name, command)
        write(os.path.join(folder, "man/man8", name + ".8"), "\n".join(page) + "\n")
        if name == SERVER:
            continue
        for shell, path in SHELLS.items():
            write(os.path.join(folder, "completions", path.format(name)), run(program, "--generate-completion-script", shell))


if __name__ == "__main__":
    main()
