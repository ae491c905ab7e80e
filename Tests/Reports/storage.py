# Bcfg2 1.4's storage and pages, for Python 2.7 with Bcfg2 1.4 and Django:
#
#   storage.py CONF import FOLDER    imports the pickles in FOLDER, in order of their names, and prints the seconds it took
#   storage.py CONF pages            reads URLs from standard input, one a line, and prints pages as JSON
#   storage.py CONF pickle FOLDER    reads uploads as JSON from standard input and writes pickles, as LocalFilesystem does
import json
import logging
import os
import pickle
import sys
import time

conf, what = sys.argv[1:3]
arguments = sys.argv[3:]

if what == "pickle":
    def plain(value):
        if isinstance(value, dict):
            return dict((plain(k), plain(v)) for k, v in value.items())
        if isinstance(value, list):
            return [plain(v) for v in value]
        return value.encode("utf-8") if isinstance(value, unicode) else value  # noqa: F821
    for number, upload in enumerate(json.load(sys.stdin)):
        with open(os.path.join(arguments[0], "%s-%08d.5" % (upload["hostname"], number)), "wb") as file:
            pickle.dump(plain(upload), file, 0)
    sys.exit()

import Bcfg2.Options  # noqa: E402

parser = Bcfg2.Options.get_parser()
from Bcfg2.Reporting.Storage.DjangoORM import DjangoORM  # noqa: E402

parser.add_component(DjangoORM)
parser.parse(["-C", conf])
logging.getLogger().setLevel(logging.ERROR)
logging.basicConfig(stream=sys.stderr)

if what == "import":
    storage = DjangoORM()
    storage.validate()
    names = sorted(os.listdir(arguments[0]), key=lambda name: name.rsplit("-", 1)[1])
    begin = time.time()
    for name in names:
        with open(os.path.join(arguments[0], name), "rb") as file:
            storage.import_interaction(pickle.load(file))
    print(time.time() - begin)
else:
    from django.test import Client

    client = Client()
    pages = {}
    for url in sys.stdin.read().split("\n"):
        if url:
            answer = client.get(url)
            pages[url] = [answer.status_code, answer.content.decode("utf-8", "replace")]
    json.dump(pages, sys.stdout)
