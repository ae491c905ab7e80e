import CoreSupport
import EventLoop
import Glibc
import Repository
import Support
import Templates
import Testing

@testable import Core
@testable import ServerSettings

/// A template that fails, hangs or eats memory fails alone.
@Suite(.serialized) struct TemplateFailureTests {
  private let prefix = "failed: bind error: Cfg: Error rendering "

  @Test func errorsHaveBcfg2sWordsAndThePlace() async throws {
    let templates = [
      "undefined": "one\n${nosuch}\n",
      "block": "{% python\na = 1\n%}\n{% python\n\ny = {}['k']\n%}\n",
      "purpose": "{% python\nfrom genshi.template import TemplateError\nraise TemplateError('Missing group')\n%}\n",
      "expression": "x\n{% if True %}\n${1 / 0}\n{% end %}\n",
      "cheetah.cheetah": "a\n$nosuch\n", "key.cheetah": "$repr({}['k'])\n", "jinja.jinja2": "a\n{{ nosuch.x }}\n",
      "good": "good\n",
    ]
    try await RepositoryFixture.run(templates: templates) { fixture async throws in
      let table = [
        "undefined":
          "UndefinedError: \"nosuch\" not defined at '<Expression 'nosuch'>' (REPO/Cfg/undefined/undefined.genshi, line 2)",
        "block": "KeyError: 'k' at 'y = {}['k']' (REPO/Cfg/block/block.genshi, line 6)",
        "purpose":
          "TemplateError: Missing group at 'raise TemplateError('Missing group')' (REPO/Cfg/purpose/purpose.genshi, line 3)",
        "expression":
          "ZeroDivisionError: integer division or modulo by zero at '${1 / 0}' (REPO/Cfg/expression/expression.genshi, line 3)",
        "cheetah": "cannot find 'nosuch' (REPO/Cfg/cheetah/cheetah.cheetah, line 2)",
        "key": "KeyError: 'k' (REPO/Cfg/key/key.cheetah, line 1)",
        "jinja": "'nosuch' is undefined (REPO/Cfg/jinja/jinja.jinja2, line 2)",
      ]
      for (name, text) in table { #expect(try await fixture.rendered("/\(name)") == "\(prefix)/\(name): \(text)") }
      #expect(try await fixture.rendered("/good") == "good\n")
    }
  }

  @Test func syntaxErrorsHaveTheLineAndNoMore() async throws {
    let markup = "<a xmlns:py='http://genshi.edgewall.org/'>\n"
    let templates = [
      "block": "one\ntwo\n{% python\nx = 1\ny = = 2\n%}\n", "line": "one\n{% python x = = 2 %}\n",
      "return": "one\n{% python\nx = 1\nreturn\n%}\n", "expression": "one\n\n${1 +}\n",
      "directive": "one\n{% nosuch x %}\n", "jinja.jinja2": "a\nb\n{{ a b }}\n",
    ]
    let table = [
      "block": "invalid syntax (REPO/Cfg/block/block.genshi, line 5)",
      "line": "invalid syntax (REPO/Cfg/line/line.genshi, line 2)",
      "return": "'return' outside function (REPO/Cfg/return/return.genshi, line 4)",
      "expression": "invalid syntax (REPO/Cfg/expression/expression.genshi, line 3)",
      "directive": "bad directive \"nosuch\" (REPO/Cfg/directive/directive.genshi, line 2)",
      "jinja": "expected token 'end of print statement', got 'b' (REPO/Cfg/jinja/jinja.jinja2, line 3)",
    ]
    let failing = [
      "if": "one\n{% if 1 + %}\nx\n{% end %}\n", "open": "one\n\n$name\n${name\n\n", "parse.cheetah": "a\n#if 1\nx\n",
      "code.cheetah": "a\nb\n#if 1 +\nx\n#end if\n", "set.cheetah": "a\n#set x = = 1\nx\n",
    ]
    let failures = [
      "if":
        "TemplateSyntaxError: invalid syntax in expression \"1 +\" of \"if\" directive (REPO/Cfg/if/if.genshi, line 2)",
      "open": "Failed to load template: \"${\" without its \"}\" (REPO/Cfg/open/open.genshi, line 4)",
      "parse":
        "Some #directives are missing their corresponding #end ___ tag: if (REPO/Cfg/parse/parse.cheetah, line 3)",
      "code": "invalid syntax (REPO/Cfg/code/code.cheetah, line 3)",
      "set": "invalid syntax (REPO/Cfg/set/set.cheetah, line 2)",
    ]
    try await RepositoryFixture.run(templates: templates.merging(failing) { $1 }) { fixture async throws in
      let log = fixture.log
      for (name, text) in failures { #expect(try await fixture.rendered("/\(name)") == "\(prefix)/\(name): \(text)") }
      // The second failure has the same message.
      for (name, text) in failures { #expect(try await fixture.rendered("/\(name)") == "\(prefix)/\(name): \(text)") }
      let lines = log.lines.map { $0.replacing(fixture.repository.path, with: "REPO") }
      for (_, text) in table { #expect(lines.contains { $0.hasSuffix("Failed to load template: \(text)") }, "\(text)") }
      fixture.repository.write(markup + "<?python\nx = 1\ny = = 2\n?>\n</a>\n", to: "a.xml")
      _ = try? await fixture.core.templates.render(
        path: fixture.repository.file("a.xml"), try await fixture.core.buildMetadata("one.example.com"))
      #expect(log.lines.contains { $0.hasSuffix("invalid syntax (\(fixture.repository.path)/a.xml, line 4)") })
    }
  }

  @Test func theLineOfADirectiveIsItsOwn() async throws {
    let templates = [
      "for": "a\n{% if True %}b{% end %}\n{% for x in nosuch %}\n${x}\n{% end %}\n",
      "word": "a\n{% if True %}\nb\n{% end %}\n{% for x of y %}\n{% end %}\n",
      "with": "a\n{% with x=1/0 %}\n${x}{% end %}\n",
      // The name stands in the text, too, and line feeds are taken away.
      "eaten": "{% python\na = 1\n%}\\\n# x\n\n{% if True %}\\\n${x}\n{% end %}\n",
      "import.cheetah": "a\n\n#import nosuch_module\n", "from.cheetah": "a\n#from os import nosuch\n",
      "set.cheetah": "a\n#set $x = 1 / 0\n", "letters.cheetah": "gr\u{FC}\u{DF} $name",
      "jinja.jinja2": "a\n{% include 'nosuch' %}\n",
    ]
    let failures = [
      "for":
        "UndefinedError: \"nosuch\" not defined at '<Expression 'iter(nosuch)'>' (REPO/Cfg/for/for.genshi, line 3)",
      "word":
        "TemplateSyntaxError: \"in\" keyword missing in \"for\" directive (REPO/Cfg/word/word.genshi, line 5)",
      "with":
        "ZeroDivisionError: integer division or modulo by zero at '{% with x=1/0 %}' (REPO/Cfg/with/with.genshi, line 2)",
      "eaten": "UndefinedError: \"x\" not defined at '<Expression 'x'>' (REPO/Cfg/eaten/eaten.genshi, line 7)",
      "import": "No module named 'nosuch_module' (REPO/Cfg/import/import.cheetah, line 3)",
      "set": "integer division or modulo by zero (REPO/Cfg/set/set.cheetah, line 2)",
      "jinja": "there is no template REPO/Cfg/jinja/nosuch (REPO/Cfg/jinja/jinja.jinja2, line 2)",
    ]
    try await RepositoryFixture.run(templates: templates) { fixture async throws in
      for (name, text) in failures { #expect(try await fixture.rendered("/\(name)") == "\(prefix)/\(name): \(text)") }
      #expect(try await fixture.rendered("/letters") == "gr\u{FC}\u{DF} /letters")
      #expect(try await fixture.rendered("/from").hasSuffix(" (REPO/Cfg/from/from.cheetah, line 2)"))
    }
  }

  @Test func messagesShowNothingOfData() async throws {
    let templates = [
      "dictionary": "${metadata.Properties['a.json'].json.nosuch}", "all": "${metadata.Properties.nosuch}",
      "file": "${metadata.Properties['a.json'].nosuch}", "text": "${metadata.Properties['a.json'].json['key'].nosuch}",
      "raw": "${metadata.Properties['a.json'].data.nosuch}", "element": "${metadata.Properties['b.xml'].xdata.nosuch}",
      "none": "${metadata.Properties['b.xml'].xdata.find('x').text}",
    ]
    let owners = [
      "dictionary": "a value of type dict", "all": "a value of type dict", "file": "a value of type JSONPropertyFile",
      "text": "a value of type str", "raw": "a value of type str", "element": "<Element Properties>", "none": "None",
    ]
    let files = [
      "Properties/a.json": "{\"key\": \"hunter2\"}",
      "Properties/b.xml": "<Properties key='hunter2'>hunter2</Properties>",
    ]
    try await RepositoryFixture.run(templates: templates, files: files, plugins: ["Properties"]) {
      fixture async throws in
      for (name, owner) in owners {
        let text = try await fixture.rendered("/\(name)")
        #expect(text.contains("UndefinedError: \(owner) has no member named"), "\(text)")
        #expect(!text.contains("hunter2"), "\(text)")
      }
    }
  }

  @Test func aBrokenIncludedFileLeavesTheVersionBefore() async throws {
    let templates = [
      "g": "{% include part.genshi_include %}{% include other.inc %}",
      "j.jinja2": "{% include 'part.jinja2_include' %}",
    ]
    let files = [
      "Cfg/g/part.genshi_include": "first ${name}\n", "Cfg/g/other.inc": "other",
      "Cfg/j/part.jinja2_include": "first {{ name }}\n",
    ]
    try await RepositoryFixture.run(templates: templates, files: files, conf: "[templates]\nprocesses = 1\n") {
      fixture async throws in
      #expect(try await fixture.rendered("/g") == "first /g\nother")
      #expect(try await fixture.rendered("/j") == "first /j\n")
      let log = fixture.log
      for text in ["${1 +}", "x\n{% for x of y %}{% end %}"] {
        fixture.edit("Cfg/g/part.genshi_include", text)
        #expect(try await fixture.rendered("/g") == "first /g\nother")
        #expect(try await fixture.rendered("/g", of: "two.example.com") == "first /g\nother")
      }
      fixture.edit("Cfg/j/part.jinja2_include", "\n{{ a b }}")
      #expect(try await fixture.rendered("/j") == "first /j\n")
      fixture.edit("Cfg/g/other.inc", "changed")
      #expect(try await fixture.rendered("/g") == "first /g\nchanged")
      let path = fixture.repository.path
      // Each broken version once, whatever is rendered with the one before it.
      #expect(log.lines.count { $0.contains("Failed to load template") } == 3, "\(log.lines)")
      for text in [
        "g/part.genshi_include: Failed to load template: invalid syntax (\(path)/Cfg/g/part.genshi_include, line 1)",
        "g/part.genshi_include: Failed to load template: \"in\" keyword missing in \"for\" directive "
          + "(\(path)/Cfg/g/part.genshi_include, line 2)",
        "j/part.jinja2_include: Failed to load template: expected token 'end of print statement', got 'b' "
          + "(\(path)/Cfg/j/part.jinja2_include, line 2)",
      ] { #expect(log.lines.contains { $0.hasSuffix(text) }, "\(text)") }
      // An edit of a file that Cfg does not know is no news; that it is new was.
      let unknown = log.lines.filter { $0.contains("Could not process event") }
      #expect(unknown.isEmpty, "\(unknown)")
      fixture.edit("Cfg/g/new.inc", "new")
      #expect(
        log.lines.count { $0.hasSuffix("Could not process event created for \(path)/Cfg/g/new.inc; ignoring") } == 1)
      fixture.edit("Cfg/g/part.genshi_include", "mended\n")
      #expect(try await fixture.rendered("/g") == "mended\nchanged")
    }
  }

  @Test func cheetahsErrorsHaveFileAndLine() async throws {
    let inner = "#include $repo + '/Cfg/inner.inc'\n"
    let templates = [
      "for.cheetah": "a\n#for $x in $name.nosuch()\n$x\n#end for\n", "none.cheetah": "a\nb\n#include '/nosuch.inc'\n",
      "inner.cheetah": inner, "broken.cheetah": "a\n#include $repo + '/Cfg/broken.inc'\n",
    ]
    let files = ["Cfg/inner.inc": "one\ntwo $nosuch\n", "Cfg/broken.inc": "one\n\n#if 1\n"]
    let table = [
      "for": "cannot find 'nosuch' while searching for 'nosuch' (REPO/Cfg/for/for.cheetah, line 2)",
      "none": "[Errno 2] No such file or directory: '/nosuch.inc' (REPO/Cfg/none/none.cheetah, line 3)",
      "inner": "cannot find 'nosuch' (REPO/Cfg/inner.inc, line 2)",
      "broken":
        "Some #directives are missing their corresponding #end ___ tag: if (REPO/Cfg/broken.inc, line 3)",
    ]
    try await RepositoryFixture.run(templates: templates, files: files) { fixture async throws in
      for (name, text) in table { #expect(try await fixture.rendered("/\(name)") == "\(prefix)/\(name): \(text)") }
    }
  }

  @Test func aMissingIncludeOfMarkupHasItsLine() async throws {
    try await RepositoryFixture.run(templates: [:]) { fixture async throws in
      fixture.repository.write(
        "<a xmlns:py='http://genshi.edgewall.org/' xmlns:xi='http://www.w3.org/2001/XInclude'>\n<b/>\n"
          + "<xi:include href='nosuch.xml'/>\n</a>\n", to: "a.xml")
      let path = fixture.repository.path
      await #expect {
        _ = try await fixture.core.templates.render(
          path: "\(path)/a.xml", try await fixture.core.buildMetadata("one.example.com"))
      } throws: { error in
        "\(error)" == "TemplateNotFound: Template \"\(path)/nosuch.xml\" not found (\(path)/a.xml, line 3)"
      }
    }
  }

  @Test func aMessageIsTheSameEachTime() async throws {
    let text = "{% python\nraise ValueError(object())\n%}\n"
    try await RepositoryFixture.run(templates: ["a": text]) { fixture async throws in
      #expect(try await fixture.rendered("/a").contains("ValueError: <object object> at 'raise"))
    }
  }

  @Test func aSyntaxErrorInCheetahKeepsTheLastGoodVersion() async throws {
    let templates = ["c.cheetah": "first $name\n", "b.cheetah": "#if $x ==\n#end if\n"]
    try await RepositoryFixture.run(templates: templates) { fixture async throws in
      #expect(try await fixture.rendered("/c") == "first /c\n")
      #expect(try await fixture.rendered("/b").hasSuffix("invalid syntax (REPO/Cfg/b/b.cheetah, line 1)"))
      let log = fixture.log
      for text in ["#if $x ==\n#end if\n", "#if 1\n", "#set x = = 1\n"] {
        fixture.edit("Cfg/c/c.cheetah", text)
        #expect(try await fixture.rendered("/c") == "first /c\n")
        #expect(try await fixture.rendered("/c", of: "two.example.com") == "first /c\n")
      }
      #expect(log.lines.count { $0.contains("c.cheetah: Failed to load template: ") } == 3)
      fixture.edit("Cfg/c/c.cheetah", "third\n")
      fixture.edit("Cfg/b/b.cheetah", "mended\n")
      #expect(try await fixture.rendered("/c") == "third\n")
      #expect(try await fixture.rendered("/b") == "mended\n")
    }
  }

  @Test func aModuleThatACheetahTemplateImportsCanBeMended() async throws {
    let template = "#import sys\n#import m14_of_cheetah\n$m14_of_cheetah.value\n"
    try await RepositoryFixture.run(templates: [
      "path": "{% python\nimport sys\nsys.path.insert(0, repo)\n%}", "z.cheetah": template,
    ]) {
      fixture async throws in
      fixture.edit("m14_of_cheetah.py", "value = =\n")
      _ = try await fixture.rendered("/path")
      #expect(try await fixture.rendered("/z").hasPrefix("failed: "))
      fixture.edit("m14_of_cheetah.py", "value = 14\n")
      _ = try await fixture.rendered("/path")
      #expect(try await !fixture.rendered("/z").contains("Failed to load template"))
    }
  }

  @Test func anIncludedFileThatCannotBeReadIsAnError() async throws {
    let templates = ["g": "x{% include b.inc %}y", "j.jinja2": "x{% include 'b.inc' ignore missing %}y"]
    try await RepositoryFixture.run(templates: templates) { fixture async throws in
      for (name, file) in [("g", "g.genshi"), ("j", "j.jinja2")] {
        #expect(try await fixture.rendered("/\(name)") == "xy")
        // Another version: a link that leads nowhere is to the server what no file is, and the result is kept.
        fixture.edit("Cfg/\(name)/\(file)", templates[file == "g.genshi" ? "g" : file]! + "z")
        // Root may read every file, but cannot follow a link to itself.
        let path = fixture.repository.file("Cfg/\(name)/b.inc")
        #expect(symlink(path, path) == 0)
        let text = try await fixture.rendered("/\(name)")
        #expect(text.contains("Too many levels of symbolic links: 'REPO/Cfg/\(name)/b.inc'"), "\(text)")
      }
    }
  }

  @Test func aMessageWithLineFeedsIsOneLine() async throws {
    try await RepositoryFixture.run(templates: ["a": "{% python\nraise ValueError('one\\n  two\\r\\nthree')\n%}\n"]) {
      fixture async throws in
      #expect(try await fixture.rendered("/a").contains("ValueError: one two three at "))
    }
  }

  @Test func whatCouldNotBeReadSaysSo() async throws {
    let files = [
      "TemplateHelper/bad.py": "import nosuch_module\n", "Properties/p.json": "{\n\"a\": 1,\n}",
      "Properties/p.xml": "<P>\n",
    ]
    let templates = [
      "g": "${metadata.TemplateHelper['bad'].f(1)}", "c.cheetah": "$metadata.TemplateHelper['bad'].f(1)",
      "j.jinja2": "{{ metadata.TemplateHelper['bad'].f(1) }}", "json": "${metadata.Properties['p.json'].json}",
      "xml": "${metadata.Properties['p.xml'].xdata}", "none": "${metadata.Properties.get('p.xml')}",
    ]
    try await RepositoryFixture.run(templates: templates, files: files, plugins: ["TemplateHelper", "Properties"]) {
      fixture async throws in
      let reason =
        "TemplateHelper bad could not be imported: ModuleNotFoundError: No module named 'nosuch_module' "
        + "(REPO/TemplateHelper/bad.py, line 1)"
      for name in ["g", "c", "j"] {
        let text = try await fixture.rendered("/\(name)")
        #expect(text.contains(reason), "\(text)")
      }
      for (name, line) in [("json", 3), ("xml", 2)] {
        let text = try await fixture.rendered("/\(name)")
        let expected = "the file of Properties could not be read: REPO/Properties/p.\(name):\(line): "
        #expect(text.contains(expected), "\(text)")
      }
    }
  }

  @Test func aSyntaxErrorKeepsTheLastGoodVersion() async throws {
    try await RepositoryFixture.run(templates: ["a": "first\n", "b": "${1 +}\n"]) { fixture async throws in
      #expect(try await fixture.rendered("/a") == "first\n")
      let failed = try await fixture.rendered("/b")
      #expect(failed == "\(prefix)/b: Failed to load template: invalid syntax (REPO/Cfg/b/b.genshi, line 1)")
      fixture.edit("Cfg/b/b.genshi", "mended\n")
      fixture.edit("Cfg/a/a.genshi", "{% python\nx = = 1\n%}\n")
      #expect(try await fixture.rendered("/a") == "first\n")
      #expect(try await fixture.rendered("/a", of: "two.example.com") == "first\n")
      #expect(try await fixture.rendered("/b") == "mended\n")
      fixture.edit("Cfg/a/a.genshi", "third\n")
      #expect(try await fixture.rendered("/a") == "third\n")
    }
  }

  @Test func aTemplateThatHangsCostsItsEntryAlone() async throws {
    let templates = ["a": "a $name\n", "hang": "{% python\nwhile True:\n    pass\n%}\n", "z": "z $name\n"]
    try await RepositoryFixture.run(templates: templates, conf: "[templates]\ntimeout = 0.5\nprocesses = 1\n") {
      fixture async throws in
      #expect(try await fixture.rendered("/a") == "a /a\n")
      #expect(
        try await fixture.rendered("/hang")
          == "\(prefix)/hang: the template took longer than 0.5 s ([templates] timeout); it is tried again after 30 s")
      #expect(try await fixture.rendered("/z") == "z /z\n")
      #expect(fixture.core.templates.pool.startCount > 1, "another process is there")
    }
  }

  @Test func theClockRunsForAProcessThatWasIdle() async throws {
    let hang = "{% python\nwhile metadata.hostname == 'two.example.com': pass\n%}\\\nfine"
    try await RepositoryFixture.run(templates: ["hang": hang], conf: "[templates]\ntimeout = 0.5\nprocesses = 1\n") {
      fixture async throws in
      #expect(try await fixture.rendered("/hang") == "fine")
      // The process has the template already, and sends no question.
      #expect(try await fixture.rendered("/hang", of: "two.example.com").contains("took longer than 0.5 s"))
    }
  }

  @Test func aTemplateThatEndsItsProcessCostsItsEntryAlone() async throws {
    let templates = [
      "a": "a\n", "kill": "{% python\nimport os\nos.kill(os.getpid(), 9)\n%}\n",
      "quit": "{% python\nimport os\nos._exit(3)\n%}\n",
      "exit": "{% python\nimport sys\nsys.exit(4)\n%}\n", "close": "{% python\nimport os\nos.close(3)\n%}\n",
      "z": "z\n",
    ]
    try await RepositoryFixture.run(templates: templates, conf: "[templates]\nprocesses = 1\n") {
      fixture async throws in
      let configuration = try await fixture.configuration(of: "one.example.com")
      let entries = configuration.children.flatMap(\.children)
      let failed = entries.filter { $0["failure"] != nil }.compactMap(\.name).sorted()
      #expect(failed == ["/close", "/exit", "/kill", "/quit"])
      #expect(
        entries.first { $0.name == "/kill" }?["failure"]?
          .contains("signal 9 (Killed), with [templates] memory of 512 MiB; it is tried again") == true)
      #expect(entries.first { $0.name == "/quit" }?["failure"]?.contains("exit status 3;") == true)
      #expect(entries.first { $0.name == "/z" }?.text == "z\n")
    }
  }

  @Test func aTemplateThatEatsMemoryCostsItsEntryAlone() async throws {
    let templates = ["eat": "{% python\nx = 'x' * (1 << 31)\n%}\n", "a": "a\n", "z": "z\n"]
    try await RepositoryFixture.run(templates: templates, conf: "[templates]\nmemory = 256m\nprocesses = 1\n") {
      fixture async throws in
      #expect(
        try await fixture.rendered("/eat")
          == "\(prefix)/eat: the template needs more memory than 256 MiB ([templates] memory); it is tried again after 30 s"
      )
      #expect(try await fixture.rendered("/a") == "a\n")
      #expect(try await fixture.rendered("/z") == "z\n")
    }
  }

  @Test func outputIsBounded() async throws {
    let templates = [
      "a": "{% for i in range(100000) %}0123456789{% end %}",
      "b.jinja2": "{% for i in range(100000) %}0123456789{% endfor %}",
      "c": "small\n",
    ]
    try await RepositoryFixture.run(templates: templates, conf: "[cfg]\nmax_file_size = 100k\n") {
      fixture async throws in
      for name in ["a", "b"] {
        #expect(
          try await fixture.rendered("/\(name)")
            == "\(prefix)/\(name): the output is larger than 102400 bytes ([cfg] max_file_size)")
      }
      #expect(try await fixture.rendered("/c") == "small\n")
    }
  }

  @Test func whatIsNotInstalledIsNamed() async throws {
    let wrapper = TemporaryDirectory()
    // Without site, none of the system's packages is found.
    let python = wrapper.write("#!/bin/sh\nexec /usr/bin/python3 -S \"$@\"\n", to: "python", mode: 0o755)
    try await RepositoryFixture.run(
      templates: ["g": "x", "c.cheetah": "x", "j.jinja2": "x"], conf: "[templates]\npython = \(python)\n"
    ) { fixture async throws in
      for (name, library, package) in [
        ("g", "Genshi", "genshi"), ("c", "Cheetah", "cheetah"), ("j", "Jinja2", "jinja2"),
      ] {
        let text = try await fixture.rendered("/\(name)")
        #expect(
          text.hasPrefix("\(prefix)/\(name): \(library) is not available: install the package python3-\(package)"))
      }
    }
    try await RepositoryFixture.run(templates: ["g": "x"], conf: "[templates]\npython = /nonexistent/python\n") {
      fixture async throws in
      let text = try await fixture.rendered("/g")
      #expect(text.contains("no renderer could be started") && text.contains("/nonexistent/python"))
    }
    let broken = wrapper.write("#!/bin/sh\nexit 5\n", to: "broken", mode: 0o755)
    try await RepositoryFixture.run(templates: ["g": "x"], conf: "[templates]\npython = \(broken)\n") {
      fixture async throws in
      let text = try await fixture.rendered("/g")
      #expect(
        text.contains("no renderer could be started: [templates] python \(broken): the renderer ended: exit status 5"))
    }
  }
}

/// What a renderer may not do.
@Suite(.serialized) struct TemplateIsolationTests {
  @Test func aRendererHasNothingOfTheServers() async throws {
    let files = "{% python import os %}${sorted(int(n) for n in os.listdir('/proc/self/fd'))}"
    let words = "{% python import os %}${' '.join(sorted(os.environ))}"
    try await RepositoryFixture.run(templates: ["files": files, "words": words]) { fixture async throws in
      // 3 is the socket, 4 the bell, 5 the folder that is listed.
      #expect(try await fixture.rendered("/files") == "012345")
      let names = try await fixture.rendered("/words").split(separator: " ").map(String.init)
      let known = ["HOME", "LANG", "LC_CTYPE", "PATH", "PYTHONHASHSEED", "PYTHONUTF8", "TMPDIR", "TZ"]
      #expect(Set(names).isSubset(of: known), "\(names)")
    }
  }

  @Test(.enabled(if: Confinement.canConfineWrites, "this kernel has no Landlock"))
  func theRepositoryIsReadOnly() async throws {
    let write = "{% python\nopen(repo + '/Cfg/new', 'w').write('x')\n%}\n"
    let scratch = "{% python\nimport tempfile\nwith tempfile.TemporaryFile() as f:\n    f.write(b'x')\n%}\nfine"
    try await RepositoryFixture.run(templates: ["write": write, "scratch": scratch]) { fixture async throws in
      #expect(try await fixture.rendered("/write").contains("PermissionError"))
      #expect(access(fixture.repository.file("Cfg/new"), F_OK) != 0)
      #expect(try await fixture.rendered("/scratch") == "\nfine")
    }
  }

  @Test func theNetworkIsClosedWhereItIsNotAllowed() async throws {
    let open = "{% python\nimport socket\nsocket.socket().close()\n%}\nopen"
    try await RepositoryFixture.run(templates: ["open": open]) { fixture async throws in
      #expect(try await fixture.rendered("/open") == "\nopen")
    }
    try await RepositoryFixture.run(templates: ["open": open], conf: "[templates]\nnetwork = no\n") {
      fixture async throws in
      #expect(try await fixture.rendered("/open").contains("PermissionError"))
    }
  }

  @Test(.enabled(if: geteuid() == 0, "only root can give a process to another user"))
  func aRendererRunsAsTheUserThatIsWanted() async throws {
    let who = "{% python import os %}${os.getuid()} ${os.getgid()} ${os.getgroups()}"
    try await RepositoryFixture.run(templates: ["who": who], conf: "[templates]\nuser = 65534\ngroup = 65534\n") {
      fixture async throws in
      chmod(fixture.repository.path, 0o755)
      #expect(try await fixture.rendered("/who") == "65534 65534 ")
    }
  }

  @Test func signalsToAllProcessesOfAServiceEndNoRenderer() async throws {
    let text =
      "{% python\nimport os, subprocess\nfor n in (1, 2, 10, 12, 15): os.kill(os.getpid(), n)\n"
      + "status = subprocess.call(['/bin/sh', '-c', 'kill -TERM $$; exit 3'])\n%}\\\n$status"
    try await RepositoryFixture.run(templates: ["a": text]) { fixture async throws in
      #expect(try await fixture.rendered("/a") == "-15")
      #expect(fixture.core.templates.pool.startCount == 1)
      let process = try #require(fixture.core.templates.processIDs.first)
      let title = try INIFile.contents(path: "/proc/\(process)/cmdline")
      #expect(String(decoding: title.prefix { $0 != 0 }, as: UTF8.self) == "bcfg2-renderer")
      #expect(try INIFile.contents(path: "/proc/\(process)/comm") == Array("bcfg2-renderer\n".utf8))
    }
  }

  @Test func aRendererEndsWithItsSocket() async throws {
    try await RepositoryFixture.run(templates: ["a": "a"]) { fixture async throws in
      #expect(try await fixture.rendered("/a") == "a")
      let process = try #require(fixture.core.templates.processIDs.first)
      fixture.core.templates.shutdown()
      #expect(fixture.core.templates.processIDs.isEmpty)
      // The process was killed; nobody of that number is a child of ours any more.
      #expect(kill(process, 0) == 0 || errno == ESRCH)
    }
  }
}
