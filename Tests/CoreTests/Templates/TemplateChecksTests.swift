import CoreSupport
import EventLoop
import Logging
import Plugins
import Support
import Testing

@testable import Core

/// Templates that are loaded when they are read.
@Suite(.serialized) struct TemplateChecksTests {
  /// As the parent of the multiprocessing core.
  private final class Parent: ServerCore {
    override var delegatesRendering: Bool { true }
  }

  @Test func whatIsWrongWithAnEditIsLoggedBeforeAnybodyAsks() async throws {
    let templates = ["a": "first\n", "c.cheetah": "x\n", "j.jinja2": "x\n", "good": "x\n"]
    try await RepositoryFixture.run(templates: templates) { fixture async throws in
      let log = fixture.log
      let checks = fixture.core.templates.checks
      checks.gather()
      fixture.edit("Cfg/a/a.genshi", "one\n{% python\nx = = 1\n%}\n")
      fixture.edit("Cfg/c/c.cheetah", "a\n#if 1\n")
      fixture.edit("Cfg/j/j.jinja2", "a\n{{ a b }}\n")
      fixture.edit("Cfg/good/good.genshi", "${undefined}\n")
      fixture.edit(
        "Bundler/b.xml", "<Bundle xmlns:py='http://genshi.edgewall.org/'>\n<P py:if='1 +' name='a'/>\n</Bundle>")
      let loaded = await checks.load(except: [])
      #expect(loaded.count == 5)
      let lines = log.lines.filter { $0.contains("Failed to load template") }
        .map { $0.replacing(fixture.repository.path + "/", with: "") }.sorted()
      #expect(
        lines == [
          "error Bundler/b.xml: Failed to load template: TemplateSyntaxError: invalid syntax in expression \"1 +\" of "
            + "\"if\" directive (Bundler/b.xml, line 2)",
          "error Cfg/a/a.genshi: Failed to load template: invalid syntax (Cfg/a/a.genshi, line 3)",
          "error Cfg/c/c.cheetah: Failed to load template: Some #directives are missing their corresponding #end ___ tag: "
            + "if (Cfg/c/c.cheetah, line 2)",
          "error Cfg/j/j.jinja2: Failed to load template: expected token 'end of print statement', got 'b' "
            + "(Cfg/j/j.jinja2, line 2)",
        ])
      // Nothing was rendered, and a request finds the last good version, without a word.
      #expect(fixture.core.templates.counters == nil)
      #expect(try await fixture.rendered("/a") == "first\n")
      #expect(log.lines.filter { $0.contains("a.genshi: Failed to load template") }.count == 1)
    }
  }

  @Test func aMissingLibraryIsToldOfOnce() async throws {
    let wrapper = TemporaryDirectory()
    let python = wrapper.write("#!/bin/sh\nexec /usr/bin/python3 -S \"$@\"\n", to: "python", mode: 0o755)
    try await RepositoryFixture.run(templates: ["a": "x", "b": "x"], conf: "[templates]\npython = \(python)\n") {
      fixture async throws in
      let log = fixture.log
      fixture.core.templates.checks.gather()
      fixture.edit("Cfg/a/a.genshi", "y")
      fixture.edit("Cfg/b/b.genshi", "y")
      _ = await fixture.core.templates.checks.load(except: [])
      let lines = log.lines.filter { $0.hasPrefix("warning ") }
      #expect(lines.count == 1)
      #expect(lines.first?.contains("Genshi is not available: install the package python3-genshi for") == true)
    }
  }

  @Test func aMissingInterpreterIsToldOfOnce() async throws {
    try await RepositoryFixture.run(
      templates: ["a": "x", "b": "x"], conf: "[templates]\npython = /nonexistent/python\n"
    ) {
      fixture async throws in
      let log = fixture.log
      fixture.core.templates.checks.gather()
      for text in ["y", "z"] {
        for name in ["a", "b"] { fixture.edit("Cfg/\(name)/\(name).genshi", text) }
        _ = await fixture.core.templates.checks.load(except: [])
      }
      let lines = log.lines.filter { $0.hasPrefix("error ") }
      #expect(
        lines == [
          "error bcfg2.conf:2: [templates] python = /nonexistent/python: No such file or directory: templates cannot be "
            + "rendered"
        ])
    }
  }

  @Test func aRendererThatDoesNotStartIsToldOfOnce() async throws {
    let folder = TemporaryDirectory()
    let python = folder.write("#!/bin/sh\nexit 3\n", to: "python", mode: 0o755)
    try await RepositoryFixture.run(templates: ["a": "x", "b": "x"], conf: "[templates]\npython = \(python)\n") {
      fixture async throws in
      let log = fixture.log
      fixture.core.templates.checks.gather()
      for name in ["a", "b"] { fixture.edit("Cfg/\(name)/\(name).genshi", "y") }
      _ = await fixture.core.templates.checks.load(except: [])
      let lines = log.lines.filter { $0.hasPrefix("error ") }
      #expect(
        lines == [
          "error no renderer could be started: [templates] python \(python): the renderer ended: exit status 3"
        ])
    }
  }

  @Test func whatIsWrongWithAModuleIsLoggedWhenItIsRead() async throws {
    let files = [
      "TemplateHelper/bad.py": "x = 1\ny = = 2\n", "TemplateHelper/less.py": "__export__ = ['nosuch']\n",
      "TemplateHelper/good.py": "__export__ = ['x']\nx = 1\n",
    ]
    try await RepositoryFixture.run(templates: ["a": "x"], files: files, plugins: ["TemplateHelper"]) {
      fixture async throws in
      let log = fixture.log
      let checks = fixture.core.templates.checks
      checks.gather()
      let folder = fixture.repository.path + "/"
      func told() -> [String] {
        log.lines.filter { $0.contains("TemplateHelper: ") }.map { $0.replacing(folder, with: "") }.sorted()
      }
      _ = await checks.load(except: [])
      let first = [
        "error TemplateHelper: Failed to import TemplateHelper/bad.py: SyntaxError: invalid syntax "
          + "(TemplateHelper/bad.py, line 2)",
        "warning TemplateHelper: TemplateHelper/less.py exports nosuch, but has no such attribute",
      ]
      #expect(told() == first)
      fixture.edit("TemplateHelper/good.py", "import nosuch_module\n")
      _ = await checks.load(except: [])
      let second =
        "error TemplateHelper: Failed to import TemplateHelper/good.py: ModuleNotFoundError: No module named "
        + "'nosuch_module' (TemplateHelper/good.py, line 1)"
      #expect(told() == (first + [second]).sorted())
    }
  }

  @Test func aServerLoadsWhatItFindsAndWhatIsEdited() async throws {
    try await RepositoryFixture.run(templates: ["a": "x = $\u{7B}\n"]) { fixture async throws in
      let core = Parent(
        settings: fixture.core.settings, loop: fixture.core.loop, fileMonitor: fixture.monitor,
        resolver: FixedResolver([:]), registry: .standard)
      let log = LogRecorder(level: .debug)
      log.listen(to: core)
      try await core.run()
      func wait(for text: String) async {
        while !log.lines.contains(where: { $0.contains(text) }) { await Task.yield() }
      }
      await wait(for: "a.genshi: Failed to load template: ")
      fixture.edit("Cfg/a/a.genshi", "a\n\n${1 +}\n")
      await wait(
        for: "a.genshi: Failed to load template: invalid syntax (\(fixture.repository.path)/Cfg/a/a.genshi, line 3)")
      // Nothing is rendered here: no process stays.
      while !core.templates.processIDs.isEmpty { await Task.yield() }
      core.shutdown()
    }
  }
}
