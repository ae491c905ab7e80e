import EventLoop
import Formats
import Support
import Testing

/// `bcfg2-lint` with the server's core. What it finds in each of its checks, the cases `tools-lint-*` play.
struct LintToolTests {
  private struct Site {
    private let site: CommandSite
    var folder: TemporaryDirectory { site.folder }

    init(plugins: String = "Bundler,Cfg,Metadata,Rules,TemplateHelper", _ files: KeyValuePairs<String, String>) {
      let metadata = [
        "Metadata/groups.xml": "<Groups><Group name='basic' profile='true'/></Groups>",
        "Metadata/clients.xml": "<Clients/>",
      ]
      site = CommandSite(plugins: plugins, metadata.merging(files.map { ($0.key, $0.value) }) { $1 })
      folder.write("", to: "lint.conf")
    }

    func run(_ arguments: [String] = [], input: String = "") async throws -> CommandSite.Outcome {
      try await site.run("bcfg2-lint", ["--lint-config", folder.file("lint.conf")] + arguments, input: input)
    }
  }

  @Test func rulesAreCheckedToo() async throws {
    let site = Site([
      "Rules/r.xml": """
      <Rules priority='1'>
        <Path name='/a' type='file' owner='root'/>
        <Group name='two words'><Path name='/b' type='symlink' to='/c'/></Group>
      </Rules>
      """
    ])
    let result = try await site.run(["--lint-plugins", "RequiredAttrs,GroupNames"])
    #expect(result.status == .exited(2) && result.out == "3 errors\n0 warnings\n", "\(result)")
    #expect(result.error.contains("are missing for Path /a in ") && result.error.contains(": group, mode\n"))
    #expect(
      result.error.contains("Invalid group name in ") && result.error.contains("line 3: <Group name=\"two words\"/>"))
  }

  @Test func whatTheServerSaysIsAFinding() async throws {
    let site = Site(plugins: "Bundler,Metadata,Rules,Nonsense", ["Rules/r.xml": "<Rules priority='x'/>"])
    let result = try await site.run(["Server"])
    #expect(result.status == .exited(2), "\(result)")
    #expect(result.error.contains("ERROR: [server] plugins: the server cannot load plugin Nonsense\n"))
    #expect(result.error.contains("r.xml:1: Got bogus priority x for file "))
    // A file of which another check has told is not told of again.
    let twice = try await site.run(["Validate", "Server"])
    #expect(
      twice.out.hasPrefix("Serverless plugins encountered errors, skipping server plugins\n1 errors\n"), "\(twice)")
  }

  /// A file beside the one of which a check tells, whose name begins with its name.
  @Test func whatTheServerSaysOfAnotherFileStays() async throws {
    let site = Site([
      "Bundler/base.xml": "<Bundle name='base'/>", "Bundler/base.xml.orig": "<Bundle/>", "Bundler/sub/notes": "",
    ])
    let result = try await site.run(["Bundler", "Server"])
    let repository = site.folder.file("repo")
    #expect(
      result.error.contains("ERROR: Deprecated explicit bundle name in \(repository)/Bundler/base.xml\n"), "\(result)")
    for name in ["base.xml.orig", "sub/notes"] {
      let line = "WARNING: Could not process filename \(repository)/Bundler/\(name); ignoring\n"
      #expect(result.error.contains(line), "\(result)")
    }
    #expect(!result.error.contains("Explicitly specifying bundle names"), "told twice: \(result)")
  }

  @Test func templatesAreCompiled() async throws {
    let site = Site([
      "Bundler/b.xml": "<Bundle xmlns:py='http://genshi.edgewall.org/'>\n<py:if test='a b'/></Bundle>",
      "Cfg/etc/g/g.genshi": "a\n${x y}\n", "Cfg/etc/j/j.jinja2": "a\n{% if x %}\n", "Cfg/etc/k/k.genshi": "${x}",
    ])
    let result = try await site.run(["Genshi", "Jinja2", "--format", "github"])
    #expect(result.status == .exited(2), "\(result)")
    let lines = result.out.split(separator: "\n").map { $0.split(separator: "::")[0] }
    let repository = site.folder.file("repo")
    #expect(
      lines == [
        "error file=\(repository)/Bundler/b.xml,line=2,title=genshi-syntax-error",
        "error file=\(repository)/Cfg/etc/g/g.genshi,line=2,title=genshi-syntax-error",
        "error file=\(repository)/Cfg/etc/j/j.jinja2,line=2,title=jinja2-syntax-error",
      ], "\(result.out)")
  }

  @Test func statusAndFormatsAreTold() async throws {
    let site = Site(["Bundler/a.xml": "<Bundle/>"])
    let warned = try await site.run(["Bundler", "--json"])
    #expect(warned.status == .exited(3) && warned.error.isEmpty, "\(warned)")
    _ = try JSONValue(json: warned.out)
    #expect(warned.out.contains("\"name\": \"unused-bundle\"") && warned.out.contains("\"warnings\": 1"))
    let clean = try await site.run(["-v", "--stdin"], input: "Bundler/a.xml\n")
    #expect(clean.status == .exited(0) && clean.out == "0 errors\n0 warnings\n", "\(clean)")
    let names = try await site.run(["Bundler", "--list-errors", "--json"])
    #expect(names.status == .exited(0) && names.error.isEmpty, "\(names)")
    let listed = try JSONValue(json: names.out)
    #expect("\(listed)".contains("unused-bundle") && names.out.contains("\"severity\": \"warning\""), "\(names)")
    let secret = try await site.run(["-xCMDPASS", "--nonsense"])
    #expect(secret.status == .exited(2) && !secret.error.contains("CMDPASS"), "\(secret)")
    #expect(try await site.run(["Nonsense"]).status == .exited(1))
    #expect(try await site.run(["--nonsense"]).status == .exited(2))
  }
}
