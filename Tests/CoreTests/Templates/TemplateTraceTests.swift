import Core
import CoreSupport
import Formats
import Glibc
import Identity
import Repository
import Support
import Testing

/// Results are used again exactly where everything that the template read is the same.
@Suite(.serialized) struct TemplateTraceTests {
  /// Why a template's result is not used again; empty where it is.
  private func reasons(_ text: String, files: [String: String] = [:], conf: String = "") async throws -> [String] {
    var found: [String]?
    try await RepositoryFixture.run(
      templates: ["t": text], files: files, plugins: ["Probes", "Properties"], conf: conf
    ) {
      fixture async throws in
      fixture.core.templates.onReport = { _, report in
        found = report.reasons.map { $0.replacing(fixture.repository.path, with: "REPO") }
      }
      let rendered = try await fixture.rendered("/t")
      #expect(!rendered.hasPrefix("failed"), "\(rendered)")
    }
    return try #require(found)
  }

  @Test func whatIsTheSameForAllIsRenderedOnce() async throws {
    try await RepositoryFixture.run(templates: [
      "t": "${'web' in metadata.groups and 'w' or 'n'} ${metadata.group_in_category('os')}\n"
    ]) {
      fixture async throws in
      #expect(try await fixture.rendered("/t") == "w \n")
      #expect(fixture.core.templates.cacheCount.results == 1)
      #expect(try await fixture.rendered("/t", of: "two.example.com") == "n \n")
      #expect(fixture.core.templates.cacheCount == (2, 0))
      // Another client of the same groups: nothing is rendered.
      fixture.edit(
        "Metadata/clients.xml",
        """
        <Clients version="3.0"><Client name="one.example.com" profile="base"/>
        <Client name="two.example.com" profile="other"/><Client name="three.example.com" profile="base"/></Clients>
        """)
      #expect(try await fixture.rendered("/t", of: "three.example.com") == "w \n")
      #expect(fixture.core.templates.cacheCount == (2, 1))
    }
  }

  @Test func anAnswerWithRepeatableTemplatesIsKept() async throws {
    let templates = [
      "a": "${metadata.hostname} ${metadata.profile} ${sorted(metadata.groups)}\n",
      "b.jinja2": "{{ metadata.hostname }}\n", "c.cheetah": "$metadata.hostname\n",
    ]
    let bundle = "<Bundle xmlns:py='http://genshi.edgewall.org/'><BoundPackage name='p-${metadata.profile}'/></Bundle>"
    try await RepositoryFixture.run(templates: templates, files: ["Bundler/t.xml": bundle]) { fixture async throws in
      let (_, cacheable) = try await fixture.core.makeConfiguration("one.example.com")
      #expect(cacheable != nil)
    }
    try await RepositoryFixture.run(templates: ["a": "${__import__('time').time() > 0}"]) { fixture async throws in
      let (_, cacheable) = try await fixture.core.makeConfiguration("one.example.com")
      #expect(cacheable == nil, "the time was read")
    }
    try await RepositoryFixture.run(templates: templates, conf: "[templates]\ncache = never\n") {
      fixture async throws in
      let (_, cacheable) = try await fixture.core.makeConfiguration("one.example.com")
      #expect(cacheable == nil && fixture.core.templates.cacheCount.results == 0)
    }
  }

  @Test func anEditOfAnythingThatWasReadCounts() async throws {
    let template = """
      {% python
      import os, sys
      if repo + '/lib' not in sys.path:
          sys.path.insert(0, repo + '/lib')
      from site_module import word
      %}\\
      {% include part.genshi_include %}\\
      ${open(repo + '/Data/hosts').read().strip()} ${word()} ${sorted(os.listdir(repo + '/Data/d'))} \\
      ${os.path.exists(repo + '/Data/flag')}
      """
    let files = [
      "Cfg/t/part.genshi_include": "part 1 ", "Data/hosts": "hosts 1\n", "Data/d/one": "", "Data/d/two": "",
      "lib/site_module.py": "from site_other import X\ndef word():\n    return X\n", "lib/site_other.py": "X = 'x1'\n",
    ]
    try await RepositoryFixture.run(templates: ["t": template], files: files) { fixture async throws in
      #expect(try await fixture.rendered("/t") == "part 1 hosts 1 x1 onetwo False")
      #expect(try await fixture.rendered("/t") == "part 1 hosts 1 x1 onetwo False")
      #expect(fixture.core.templates.cacheCount.used == 1)
      for (file, text, expected) in [
        ("Cfg/t/part.genshi_include", "part 2 ", "part 2 hosts 1 x1 onetwo False"),
        ("Data/hosts", "hosts 2, longer\n", "part 2 hosts 2, longer x1 onetwo False"),
        ("lib/site_other.py", "X = 'changed'\n", "part 2 hosts 2, longer changed onetwo False"),
        ("Data/d/three", "", "part 2 hosts 2, longer changed onethreetwo False"),
        ("Data/flag", "", "part 2 hosts 2, longer changed onethreetwo True"),
      ] {
        let before = fixture.core.repositoryGeneration
        fixture.edit(file, text)
        #expect(fixture.core.repositoryGeneration != before, "the server was not told of \(file)")
        #expect(try await fixture.rendered("/t") == expected)
      }
    }
  }

  @Test func whatIsUnrepeatableIsSaid() async throws {
    let table: [(String, String)] = [
      ("{% python import time %}${time.time() and ''}", "reads the time (time.time)"),
      ("{% python import time %}${time.strftime('%Y') and ''}", "reads the time (time.strftime)"),
      ("{% python import datetime %}${datetime.datetime.now() and ''}", "calls now (REPO/Cfg/t/t.genshi)"),
      ("{% python import random %}${random.choice([1])}", "takes random numbers (random.choice)"),
      ("{% python import random %}${random.Random().random() and ''}", "takes random numbers (random.Random)"),
      ("{% python import uuid %}${uuid.uuid4() and ''}", "takes random numbers (os.urandom)"),
      ("{% python import os %}${os.environ.get('PATH') and ''}", "reads the environment (PATH)"),
      ("{% python import os %}${os.getenv('HOME') and ''}", "reads the environment (HOME)"),
      ("${open('/etc/hostname').read() and ''}", "reads /etc/hostname"),
      ("{% python import os %}${os.path.exists('/etc/hosts')}", "reads /etc/hosts"),
      (
        "{% python import os %}${os.path.exists(repo + '/y' * 3000)}", "reads a path that the server cannot watch"
      ),
      (
        "{% python import os %}${os.path.exists(os.fsencode(repo) + b'/\\xff')}",
        "reads a path that the server cannot watch"
      ),
      ("{% python import socket %}${socket.gethostbyname('localhost')}", "uses the network (socket.gethostbyname)"),
      ("{% python import subprocess %}${subprocess.call(['/bin/true'])}", "runs a program (subprocess.Popen)"),
      ("{% python import os %}${os.system('true')}", "runs a program (os.system)"),
      ("{% python import _thread %}${_thread.start_new_thread(len, ('',)) and ''}", "starts a thread"),
      ("{% python import pwd %}${pwd.getpwuid(0).pw_name}", "asks for users or groups (getpwuid)"),
    ]
    for (text, reason) in table {
      let found = try await reasons(text)
      #expect(found.contains(reason), "\(text): \(found)")
    }
  }

  @Test func whatIsRepeatableIsSaidToBe() async throws {
    let files = ["Data/x.xml": "<a/>", "Data/t.txt": "x"]
    for text in [
      "{% python import os, re, json, hashlib, socket, datetime, random %}${os.path.join('a', 'b')}",
      "{% python import random\nrandom.seed(metadata.hostname)\n%}${random.randint(0, 9)} ${random.choice('ab')}",
      "{% python import random %}${random.Random(7).random()}",
      "{% python import hashlib %}${hashlib.md5(b'x').hexdigest()}",
      "{% python import time %}${time.strftime('%Y', time.gmtime(0))}",
      "{% python import uuid %}${uuid.uuid5(uuid.NAMESPACE_DNS, metadata.hostname)}",
      "{% python import lxml.etree %}${lxml.etree.parse(repo + '/Data/x.xml').getroot().tag}",
      "{% python import glob %}${[open(n).read() for n in glob.glob(repo + '/Data/*.txt')]}",
      "{% python exec(open(repo + '/Data/t.txt').read().replace('x', 'y = 1')) %}${y}",
      "${metadata.Probes.get('none')} ${len(metadata.query.all_groups())}",
    ] {
      #expect(try await reasons(text, files: files) == [], "\(text)")
    }
  }

  @Test func textsOfOtherKindsAreRecordedAsTexts() async throws {
    let template = """
      {% python
      class S(str):
          pass
      class N(int):
          pass
      %}\\
      ${metadata.inGroup(S('web'))} ${S('os') in metadata.categories} ${S('a.json') in metadata.Properties} \\
      ${sorted(metadata.groups.intersection([S('web')]))} ${len(metadata.query.names_by_groups([S('web')]))} \\
      ${metadata.query.names_by_groups([N(7)])} ${metadata.query.by_name(S('one.example.com')).profile} \\
      ${'\\ud800' in metadata.groups} ${open(S(repo + '/Data/x')).read()}
      """
    let jinja2 = "{{ ('web'|e) in metadata.groups }}"
    try await RepositoryFixture.run(
      templates: ["t": template, "j.jinja2": jinja2], files: ["Properties/a.json": "[]", "Data/x": "x"],
      plugins: ["Properties"]
    ) { fixture async throws in
      for _ in 0..<2 {
        #expect(try await fixture.rendered("/t") == "True False True web 1  base False x")
        #expect(try await fixture.rendered("/j") == "True")
      }
      #expect(fixture.core.templates.cacheCount.used >= 2)
    }
  }

  @Test func theAbsenceOfAClientIsRecorded() async throws {
    let template = """
      {% python
      try:
          who = metadata.query.by_name('late.example.com').hostname
      except Exception:
          who = 'nobody'
      %}\\
      $who
      """
    try await RepositoryFixture.run(templates: ["t": template]) { fixture async throws in
      for _ in 0..<2 { #expect(try await fixture.rendered("/t") == "nobody") }
      #expect(fixture.core.templates.cacheCount.used == 1)
      fixture.edit(
        "Metadata/clients.xml",
        """
        <Clients version="3.0"><Client name="one.example.com" profile="base"/>
        <Client name="late.example.com" profile="other"/></Clients>
        """)
      #expect(try await fixture.rendered("/t") == "late.example.com")
    }
  }

  @Test func otherClientsDataIsNotMissed() async throws {
    try await RepositoryFixture.run(templates: ["t": "${sorted(metadata.query.names_by_groups(['web']))}\n"]) {
      fixture async throws in
      #expect(try await fixture.rendered("/t", of: "two.example.com") == "one.example.com\n")
      #expect(try await fixture.rendered("/t", of: "two.example.com") == "one.example.com\n")
      #expect(fixture.core.templates.cacheCount.used == 1)
      let (_, cacheable) = try await fixture.core.makeConfiguration("two.example.com")
      #expect(cacheable == nil, "an answer that others change is not kept as a whole")
      fixture.edit(
        "Metadata/clients.xml",
        """
        <Clients version="3.0"><Client name="one.example.com" profile="base"/>
        <Client name="two.example.com" profile="other"/><Client name="three.example.com" profile="base"/></Clients>
        """)
      #expect(try await fixture.rendered("/t", of: "two.example.com") == "one.example.comthree.example.com\n")
    }
  }
}

/// Objects that templates can use, where the recorded cases do not show them.
@Suite(.serialized) struct TemplateObjectTests {
  @Test func setsIterateInOrderAndAreSets() async throws {
    let template = """
      {% for g in metadata.groups %}$g {% end %}${isinstance(metadata.groups, set)} ${len(metadata.groups)} \\
      ${metadata.groups == set(['base', 'web'])} ${metadata.groups | set(['x'])} ${set(['web', 'z']) - metadata.groups} \\
      ${set(metadata.groups) ^ metadata.groups} ${metadata.groups.union(['a'])} ${repr(metadata.groups)}
      """
    try await RepositoryFixture.run(templates: ["t": template]) { fixture async throws in
      #expect(try await fixture.rendered("/t") == "base web True 2 True basewebx z  abaseweb {'base', 'web'}")
    }
  }

  @Test func askingForAnUnknownClientMakesNone() async throws {
    try await RepositoryFixture.run(templates: ["t": "${metadata.query.by_name('nobody.example.com').profile}"]) {
      fixture async throws in
      #expect(try await fixture.rendered("/t").contains("there is no client nobody.example.com"))
      #expect(await !fixture.core.metadata.listClients().map(\.text).contains("nobody.example.com"))
    }
  }

  @Test func propertiesAreWrittenBack() async throws {
    let template = """
      {% python
      p = metadata.Properties['p.xml']
      p.xdata.find('n').text = str(int(p.xdata.find('n').text) + 1)
      p.write()
      j = metadata.Properties['p.json']
      j.json['n'] += 1
      j.write()
      %}done
      """
    let files = ["Properties/p.xml": "<P><n>1</n></P>", "Properties/p.json": "{\"n\": 1}"]
    try await RepositoryFixture.run(templates: ["t": template], files: files, plugins: ["Properties"]) {
      fixture async throws in
      for number in 2...3 {
        #expect(try await fixture.rendered("/t") == "done")
        #expect(try fixture.text("Properties/p.xml") == "<P>\n  <n>\(number)</n>\n</P>\n")
        #expect(try fixture.text("Properties/p.json") == "{\"n\": \(number)}")
      }
    }
    try await RepositoryFixture.run(
      templates: ["t": template], files: files, plugins: ["Properties"], conf: "[properties]\nwrites_enabled = false\n"
    ) { fixture async throws in
      #expect(try await fixture.rendered("/t").contains("Properties files write-back is disabled in the configuration"))
      #expect(try fixture.text("Properties/p.xml") == "<P><n>1</n></P>")
    }
  }

  @Test func whatATemplateWritesDoesNotOvertakeItsOwnAnswer() async throws {
    let template = "{% python\nj = metadata.Properties['p.json']\nj.json.append(1)\nj.write()\n%}\\\n${len(j.json)}"
    try await RepositoryFixture.run(
      templates: ["t": template], files: ["Properties/p.json": "[]"], plugins: ["Properties"]
    ) {
      fixture async throws in
      // Each rendering adds one, so that the number shows an answer that was built twice.
      fixture.core.templates.onReport = { _, _ in fixture.monitor.processPending() }
      for number in 1...3 {
        #expect(try await fixture.rendered("/t") == "\(number)")
        #expect(
          try JSONValue(json: fixture.text("Properties/p.json")) == .array(Array(repeating: .integer(1), count: number))
        )
      }
      // An edit by somebody else counts.
      fixture.edit("Properties/p.json", "[1, 1, 1, 1, 1, 1]")
      #expect(try await fixture.rendered("/t") == "7")
      fixture.edit("Properties/p.json", "[1, 1, 1, 1, 1, 1, 1]")
      #expect(try await fixture.rendered("/t") == "8")
    }
  }

  @Test func yamlIsReadAndMissingKeysFail() async throws {
    let files = ["Properties/y.yaml": "a: [1, 2]\nb: {c: x}\n"]
    try await RepositoryFixture.run(
      templates: ["t": "${metadata.Properties['y.yaml'].yaml['a'][1]} ${metadata.Properties['y.yaml'].yaml['b']['c']}"],
      files: files, plugins: ["Properties"]
    ) { fixture async throws in
      #expect(try await fixture.rendered("/t") == "2 x")
    }
  }

  @Test func templatesAskForEachOtherWithoutEnd() async throws {
    // Each client's groups ask for all clients' groups: the second asking gets none.
    let logic = """
      <GroupLogic xmlns:py="http://genshi.edgewall.org/">
        <Group name="peers-${len(metadata.query.names_by_groups(['web']))}"/>
      </GroupLogic>
      """
    try await RepositoryFixture.run(
      templates: ["t": "${sorted(metadata.groups)}"], files: ["GroupLogic/groups.xml": logic], plugins: ["GroupLogic"],
      conf: "[templates]\nprocesses = 1\n"
    ) { fixture async throws in
      #expect(try await fixture.rendered("/t") == "basepeers-1web")
      #expect(try await fixture.rendered("/t", of: "two.example.com") == "otherpeers-1")
    }
  }

  @Test func integersDivideAsInPython2() async throws {
    let template = """
      {% python
      half = 7 / 2
      half2 = 9
      half2 /= 2
      true = 7 / 2.0
      %}${half} ${half2} ${true} ${1 / 2} ${[n / 2 for n in (4, 5)]}
      """
    try await RepositoryFixture.run(
      templates: ["t": template, "c.cheetah": "${7 / 2}\n", "h": "${metadata.TemplateHelper['h'].half(5)}"],
      files: ["TemplateHelper/h.py": "__export__ = ['half']\ndef half(n):\n    return n / 2\n"],
      plugins: ["TemplateHelper"]
    ) { fixture async throws in
      #expect(try await fixture.rendered("/t") == "3 4 3.5 0 22")
      #expect(try await fixture.rendered("/c") == "3\n")
      #expect(try await fixture.rendered("/h") == "2")
    }
  }

  @Test func whatIsEncryptedInTemplatesInXMLIsDecrypted() async throws {
    let conf = "[encryption]\nsite = secret\n"
    let encryption = Encryption(try RepositoryFixture.templateSettings(conf))
    let text = String(decoding: try encryption.encrypt(Array("a $ <b>".utf8), with: "secret"), as: UTF8.self)
    func bundle(_ encrypted: String) -> String {
      "<Bundle xmlns:py='http://genshi.edgewall.org/'>\n<BoundPath name='/x' owner='${metadata.hostname}' "
        + "\(encrypted)>\(text)</BoundPath></Bundle>"
    }
    let groups = "<Groups><Group name='base' profile='true'><Bundle name='b'/></Group></Groups>"
    let files = ["Bundler/b.xml": bundle("encrypted='site'"), "Metadata/groups.xml": groups]
    try await RepositoryFixture.run(templates: [:], files: files, conf: conf) { fixture async throws in
      let entry = try #require(try await fixture.entry("/x", of: "one.example.com"))
      #expect(entry.text == "a $ <b>" && entry["owner"] == "one.example.com")
      // Kept as it was sent.
      #expect(try await fixture.entry("/x", of: "one.example.com")?.text == "a $ <b>")
      let path = fixture.repository.file("Bundler/b.xml")
      let reason = "Failed to decrypt BoundPath element in \(path): No passphrase named 'absent'"
      // What is wrong in the file leaves its last version, what is wrong in its output leaves the bundle out.
      fixture.edit("Bundler/b.xml", bundle("encrypted='absent'"))
      #expect(try await fixture.entry("/x", of: "one.example.com")?.text == "a $ <b>")
      #expect(fixture.log.lines.contains { $0.contains("\(path):2: \(reason)") }, "\(fixture.log.lines)")
      fixture.edit("Bundler/b.xml", bundle("py:attrs=\"{'encrypted': 'absent'}\""))
      #expect(try await fixture.entry("/x", of: "one.example.com") == nil)
      #expect(fixture.log.lines.contains { $0.contains("\(path): \(reason)") }, "\(fixture.log.lines)")
    }
  }

  @Test func encryptedTemplatesIncludeEncryptedFiles() async throws {
    let conf = "[encryption]\ndefault = secret\n"
    let encryption = Encryption(try RepositoryFixture.templateSettings(conf))
    let template = try encryption.encrypt(
      Array("{% include part.genshi_include %}of ${metadata.hostname}\n".utf8), with: "secret")
    let part = try encryption.encrypt(Array("part ".utf8), with: "secret")
    for ending in ["genshi.crypt", "crypt.genshi"] {
      try await RepositoryFixture.run(
        templates: ["t.\(ending)": String(decoding: template, as: UTF8.self)],
        files: ["Cfg/t/part.genshi_include": String(decoding: part, as: UTF8.self)], conf: conf
      ) { fixture async throws in
        #expect(try await fixture.rendered("/t") == "part of one.example.com\n")
      }
    }
    try await RepositoryFixture.run(
      templates: [
        "t.cheetah.crypt": String(
          decoding: try encryption.encrypt(Array("c $name\n".utf8), with: "secret"), as: UTF8.self)
      ],
      conf: conf
    ) { fixture async throws in
      #expect(try await fixture.rendered("/t") == "c /t\n")
    }
  }
}
