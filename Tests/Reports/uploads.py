# Makes uploads of clients, as bcfg2-server hands them to its transport: dicts of hostname, metadata and stats.
#
# Runs with Python 2.7 and 3. The same numbers give the same uploads.
import random
import time
from xml.sax.saxutils import quoteattr


def element(tag, children=(), **attributes):
    text = "<%s%s" % (
        tag,
        "".join(" %s=%s" % (name, quoteattr(value)) for name, value in sorted(attributes.items())),
    )
    return text + ("/>" if not children else ">%s</%s>" % ("".join(children), tag))


# Entries that Django's importer stores whole. Those that it drops an interaction for are in `odd`.
def entry(random, number):
    name = "n%d" % number
    exists = random.choice(["true", "false"])
    kind = random.randrange(16)
    if kind == 0:
        return element("Path", name="/f/" + name, type="file", owner="root", group=random.choice(["adm", "root"]),
                       mode="0644", current_owner="bob", current_group="adm", current_mode="0600",
                       current_exists=exists, current_bdiff="LSBvbGQKKyBuZXcKICBzYW1lCg==")
    if kind == 1:
        return element("Path", name="/b/" + name, type="file", owner="root", group="root", mode="0644",
                       current_exists=exists, current_bfile="AQI=")
    if kind == 2:
        return element("Path", name="/s/" + name, type="file", mode="0600", sensitive="true", current_exists=exists)
    if kind == 3:
        return element("Path", name="/l/" + name, type=random.choice(["symlink", "hardlink"]), to="/a",
                       current_to=random.choice(["/b", "/c"]), current_exists=exists)
    if kind == 4:
        return element("Path", [element("Prune", name="/d/x", type="file"), element("Prune", name="/d/y", type="file")],
                       name="/d/" + name, type="directory", prune="true", mode="0755", current_mode="0700")
    if kind == 5:
        return element("Service", name=name, type="systemd", status=random.choice(["on", "off"]), current_status="off")
    if kind == 6:
        return element("Action", name=name, command="/bin/false", status="check", timing="post", when="always",
                       rc=str(random.randrange(3)))
    if kind == 7:
        return element("SEBoolean", name=name, value=random.choice(["on", "off"]))
    if kind == 8:
        return element("SEPort", name="%d/tcp" % number, selinuxtype="a_t", current_selinuxtype="b_t")
    if kind == 9:
        return element("POSIXUser", name=name, uid=str(1000 + number), current_uid="7", group="g", gecos="G",
                       home="/home/x", shell="/bin/sh")
    if kind == 10:
        return element("POSIXGroup", name=name, gid=str(2000 + number), current_gid="8")
    if kind == 11:
        return element("Package", name=name, failure="bind error: no matching generator")
    if kind == 12:
        return element("SEModule", name=name, disabled="false", current_disabled="true")
    if kind == 13:
        return element("SEFcontext", name="/x" + name, filetype="regular", selinuxtype="a_t", current_selinuxtype="b_t")
    return element("Package", name=name, type="deb", version="1.%d" % random.randrange(3), current_version="1.0",
                   current_exists=exists)


def extra(random, number):
    name = "x%d" % number
    if random.randrange(3) == 0:
        return element("Package", [element("Instance", version="1", release="2", arch="i386")], name=name, type="yum")
    return element("Service", name=name, type="systemd", current_status="on")


def upload(host, seconds, random, count, names):
    """One run of a client with `count` bad or modified entries, out of `names` that all clients have."""
    numbers = random.sample(range(names), min(count, names))
    bad = [entry(random, n) for n in numbers[: len(numbers) * 2 // 3]]
    modified = [entry(random, n) for n in numbers[len(numbers) * 2 // 3 :]]
    extras = [extra(random, n) for n in random.sample(range(20), random.randrange(4))]
    total = count + random.randrange(100)
    statistics = element(
        "Statistics",
        [
            element("Flags", [
                element("Flag", name="dry_run", value=random.choice(["True", "False"])),
                element("Flag", name="only_important", value="False"),
            ]),
            element("Bad", bad), element("Modified", modified), element("Extra", extras), element("Good"),
            element("OpStamps", start="1400000000.5", config_parse="1400000001.25", finished="1400000009"),
        ],
        total=str(total), good=str(total - len(bad)), version="2.0", revision="r%d" % random.randrange(5),
        state="clean" if not bad else "dirty", time=time.asctime(time.localtime(seconds)))
    return {
        "hostname": host,
        "metadata": {
            "server": "server.example.com", "profile": random.choice(["web", "db"]),
            "groups": ["deb", random.choice(["web", "db"])], "bundles": ["base", "ntp"], "version": "1.4.0",
        },
        "stats": statistics,
    }


def uploads(clients, runs, entries, names, seed=15):
    """`runs` uploads of each of `clients`, an hour apart, the last ones now."""
    generator = random.Random(seed)
    now = int(time.time()) // 3600 * 3600
    return [
        upload("client%04d.example.com" % client, now - (runs - 1 - run) * 3600 + client % 600, generator, entries, names)
        for run in range(runs)
        for client in range(clients)
    ]
