"""What machine.py has done inside the container: clients of the server there.

    inside.py call METHOD [ARGUMENT...]      prints the answer as JSON
    inside.py refused                        asks with a wrong password
    inside.py ask                            asks all the time, four clients beside each other. For each line of standard input it
                                             prints how many answers there were, and what failed; it ends with its input
    inside.py page URL                       prints a page
"""
import configparser
import json
import sys
import threading
import urllib.request

import loopback


def client():
    settings = configparser.RawConfigParser()
    settings.read("/etc/test/client.conf")
    return loopback.Client(6789, "/etc/test/ca.crt", password=settings.get("communication", "password"))


def ask():
    answers, failures, done = [], [], threading.Event()

    def work():
        mine = client()
        while not done.is_set():
            try:
                mine.call("DeclareVersion", "1.4")
                answers.append(1)
            except loopback.NO_ANSWER as error:
                failures.append(repr(error))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for _ in sys.stdin:
        print(json.dumps([len(answers), failures[:5]]), flush=True)
    done.set()
    for worker in workers:
        worker.join()
    print(json.dumps([len(answers), failures[:5]]), flush=True)


def main():
    action, arguments = sys.argv[1], sys.argv[2:]
    if action == "call":
        print(json.dumps(client().call(*arguments)))
    elif action == "refused":
        stranger = client()
        stranger.password = "wrong"
        print(stranger.post("<methodCall/>")[0])
    elif action == "page":
        with urllib.request.urlopen(arguments[0], timeout=30) as answer:
            print(answer.read().decode())
    else:
        ask()


if __name__ == "__main__":
    main()
