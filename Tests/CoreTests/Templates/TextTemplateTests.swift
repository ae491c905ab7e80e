import CoreSupport
import Identity
import Repository
import Support
import Templates
import Testing

@testable import Core

/// Genshi's text templates. The renderer implements their usual directives itself.
@Suite(.serialized) struct TextTemplateTests {
  @Test func theLanguageIsGenshis() async throws {
    let table: [(name: String, text: String, expected: String)] = [
      ("loop", "{% for a in [1, 2] %}${a}$a,{% end %}", "11,22,"),
      ("pairs", "{% for a, (b, c) in [(1, (2, 3))] %}$a$b$c{% end %}", "123"),
      ("nothing", "{% for a in metadata.uuid or [] %}$a{% end %}${None}.", "."),
      ("values", "${4.5} ${True} ${[1, 'b']} ${('a' + x for x in 'bc')}", "4.5 True 1b abac"),
      ("conditions", "{% if 1 %}y{% if 0 %}n{% end %}{% end %}", "y"),
      ("choose", "{% choose 1 %}{% when 1 %}w{% end %}{% otherwise %}o{% end %}{% end %}", "w"),
      ("functions", "{% def f(q) %}<$q{% if q %}${f(q - 1)}{% end %}>{% end %}${f(2)}", "<2<1<0>>>"),
      ("with", "{% with z=3; y=z+1 %}$z$y{% end %}", "34"),
      ("shadowed", "{% python\nlen = 5\nz = len\n%}$z ${len + 1}", "5 6"),
      ("rebound", "{% python\nx = sorted\n%}${x([2, 1])[0]} ${len('abc')}", "1 3"),
      ("inLoop", "{% for i in range(2) %}{% python\nlen = i\nz = len\n%}$z{% end %}", "01"),
      ("scopes", "{% python\ny = 2\ndef f():\n    return [y for _ in 'ab']\n%}${f()}", "22"),
      ("handler", "{% python\ntry:\n    1 / 0\nexcept ZeroDivisionError as e:\n    w = str(e)[:7]\n%}$w", "integer"),
      ("deleted", "{% python\na = b = 1\ndel a\n%}${defined('a')} ${defined('b')} ${value_of('q', 7)}", "False True 7"),
      ("imports", "{% python import datetime %}${datetime.date(2024, 3, 1).strftime('%j')}", "061"),
      ("nested", "${[y for y in 'ab' if y in 'b']} ${(lambda q: q + metadata.hostname[:1])('s')}", "b so"),
    ]
    try await RepositoryFixture.run(templates: Dictionary(uniqueKeysWithValues: table.map { ($0.name, $0.text) })) {
      fixture async throws in
      for (name, text, expected) in table {
        let rendered = try await fixture.rendered("/\(name)")
        #expect(rendered == expected, "\(text)")
      }
    }
  }

  @Test func errorsNameTheirPlace() async throws {
    let table: [(name: String, text: String, expected: String)] = [
      ("a", "a\nb\n${nope}\n", "\"nope\" not defined at '<Expression 'nope'>' (REPO/Cfg/a/a.genshi, line 3)"),
      ("b", "a\n{% python\nx = 1\ny = x/0\n%}\n", "at 'y = x/0' (REPO/Cfg/b/b.genshi, line 4)"),
      ("c", "{% python\ndef f():\n    return nope\n%}\n${f()}\n", "at 'return nope' (REPO/Cfg/c/c.genshi, line 3)"),
      ("d", "\n\n${1/0}\n", "at '${1/0}' (REPO/Cfg/d/d.genshi, line 3)"),
      // The same expression in another place.
      ("e", "${1/0}\n", "at '${1/0}' (REPO/Cfg/e/e.genshi, line 1)"),
      ("f", "{% for a in [1] %}\n${a + nope}\n{% end %}", "at '<Expression 'a + nope'>' (REPO/Cfg/f/f.genshi, line 2)"),
    ]
    try await RepositoryFixture.run(templates: Dictionary(uniqueKeysWithValues: table.map { ($0.name, $0.text) })) {
      fixture async throws in
      for (name, text, expected) in table {
        let rendered = try await fixture.rendered("/\(name)")
        #expect(rendered.hasSuffix(expected), "\(text): \(rendered)")
      }
    }
  }

  @Test func aDirectiveWithoutItsEndIsInTheLog() async throws {
    let templates = [
      "a": "a\n{% if 0 %}\nb\n{% for x in [1] %}$x{% end %}\n", "b": "{% include part.genshi_include %}",
      "closed": "{# {% if #}{% if 1 %}{% choose 1 %}{% when 1 %}w{% end %}{% end %}{% end %}{% python x = 1 %}",
    ]
    let files = ["Cfg/b/part.genshi_include": "{% with y=1 %}\n$name\n"]
    try await RepositoryFixture.run(templates: templates, files: files) { fixture async throws in
      let log = fixture.log
      for client: ClientName in ["one.example.com", "two.example.com"] {
        // As Genshi renders it.
        #expect(try await fixture.rendered("/a", of: client) == "a\n\nb\n1\n")
        #expect(try await fixture.rendered("/b", of: client) == "\n/b\n")
        #expect(try await fixture.rendered("/closed", of: client) == "w")
      }
      @MainActor func lines() -> [String] {
        log.lines.filter { $0.contains("without") }.map { $0.replacing(fixture.repository.path, with: "REPO") }.sorted()
      }
      let expected = [
        "Cfg/a/a.genshi: {% if %} without {% end %} has no effect (REPO/Cfg/a/a.genshi, line 2)",
        "Cfg/b/part.genshi_include: {% with %} without {% end %} has no effect (REPO/Cfg/b/part.genshi_include, line 1)",
      ]
      #expect(lines().count == 2 && zip(lines(), expected).allSatisfy { $0.hasSuffix("REPO/\($1)") }, "\(lines())")
      fixture.edit("Cfg/a/a.genshi", "{% if 0 %}")
      #expect(try await fixture.rendered("/a") == "")
      #expect(lines().count == 3)
    }
  }

  @Test func templatesOfAllBundlesAreRenderedOnceForAnAnswer() async throws {
    let bundles = 4
    var files: [String: String] = [:]
    for number in 0..<bundles {
      files["Bundler/b\(number).xml"] = "<Bundle><Path name='/x\(number)'/><Path name='/y\(number)'/></Bundle>"
      files["Cfg/x\(number)/x\(number).genshi"] = "${metadata.hostname}"
      files["Cfg/y\(number)/y\(number).genshi"] = "${1/0}"
    }
    let names = (0..<bundles).map { "<Bundle name='b\($0)'/>" }.joined()
    files["Metadata/groups.xml"] = "<Groups><Group name='base' profile='true'>\(names)</Group></Groups>"
    try await RepositoryFixture.run(templates: [:], files: files) { fixture async throws in
      var reports: [String: Int] = [:]
      fixture.core.templates.onReport = { path, _ in reports[path, default: 0] += 1 }
      let log = try await fixture.configuration(of: "one.example.com")
      #expect(log.children.count == bundles)
      #expect(reports.count == bundles && reports.values.allSatisfy { $0 == 1 }, "\(reports)")
      fixture.core.templates.onReport = nil
      #expect(fixture.core.templates.cacheCount.used == 0)
      // A kept result is bound without a message to the renderer.
      fixture.edit("Cfg/x0/x0.genshi", "edited")
      #expect(try await fixture.rendered("/x0") == "edited")
      #expect(fixture.core.templates.cacheCount.used == bundles - 1)
    }
  }

  @Test func filesThatSayHowToMakeKeysGoTogether() async throws {
    var files: [String: String] = [:]
    var entries = ""
    for number in 0..<3 {
      files["Cfg/k\(number)/sslkey.xml"] =
        "<KeyInfo xmlns:py='http://genshi.edgewall.org/'><Key type='rsa' bits='${512 + \(512 + number)}'/></KeyInfo>"
      entries += "<Path name='/k\(number)'/>"
    }
    files["Bundler/b.xml"] = "<Bundle>\(entries)</Bundle>"
    files["Metadata/groups.xml"] = "<Groups><Group name='base' profile='true'><Bundle name='b'/></Group></Groups>"
    try await RepositoryFixture.run(templates: [:], files: files) { fixture async throws in
      for _ in 1...2 {
        let bound = try await fixture.configuration(of: "one.example.com").children.flatMap(\.children)
        #expect(bound.count == 3 && bound.allSatisfy { $0.text?.contains("PRIVATE KEY") == true }, "\(bound)")
        // The second configuration finds the keys.
        #expect(fixture.core.templates.pool.batchCount == 1)
      }
    }
  }

  @Test func structureFilesOfAnAnswerGoTogether() async throws {
    let prefix = "xmlns:py='http://genshi.edgewall.org/'"
    var files: [String: String] = [:]
    var entries = ""
    for number in 0..<4 {
      files["Rules/r\(number).xml"] =
        "<Rules priority='\(number)' \(prefix)><Service name='s\(number)' type='${metadata.profile}'/></Rules>"
      files["Cfg/f\(number)/f\(number)"] = "f"
      files["Cfg/f\(number)/info.xml"] = "<FileInfo \(prefix)><Info owner='${metadata.hostname}'/></FileInfo>"
      entries += "<Service name='s\(number)'/><Path name='/f\(number)'/>"
    }
    files["Bundler/b.xml"] = "<Bundle>\(entries)</Bundle>"
    files["Metadata/groups.xml"] = "<Groups><Group name='base' profile='true'><Bundle name='b'/></Group></Groups>"
    try await RepositoryFixture.run(templates: [:], files: files, plugins: ["Rules"]) { fixture async throws in
      let configuration = try await fixture.configuration(of: "one.example.com")
      let bound = configuration.children.flatMap(\.children)
      #expect(bound.compactMap { $0["failure"] } == [])
      #expect(bound.count { $0.tag == "Service" && $0["type"] == "base" } == 4)
      #expect(bound.count { $0.tag == "Path" && $0["owner"] == "one.example.com" } == 4)
      #expect(fixture.core.templates.pool.batchCount == 2, "one for the rules, one for info.xml")
      // The result of an earlier configuration is not taken for a later one.
      fixture.edit(
        "Rules/r0.xml", "<Rules priority='0' \(prefix)><Service name='s0' type='${metadata.profile}2'/></Rules>")
      let again = try await fixture.configuration(of: "one.example.com").children.flatMap(\.children)
      #expect(again.count { $0["type"] == "base2" } == 1 && again.count { $0["type"] == "base" } == 3)
    }
  }
}
