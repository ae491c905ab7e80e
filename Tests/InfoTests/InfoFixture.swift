import Core
import CoreSupport
import Repository
import ServerSettings
import Support

@testable import Info

/// Lines of `bcfg2-info` on a small repository, and what they print.
struct InfoFixture {
  let fixture: RepositoryFixture
  let folder: TemporaryDirectory

  /// Two clients and two bundles, one a condition's.
  static let files = RepositoryFixture.files(
    bundle: """
      <Path name="/etc/motd"/><Package name="ssh"/>
      <Group name="web"><BoundPath name="/srv" type="directory" owner="root" group="root" mode="0755"/></Group>
      """,
    [
      "Cfg/etc/motd/motd": "hello\n", "Cfg/etc/motd/motd.G10_web": "web\n",
      "Cfg/etc/motd/info.xml": #"<FileInfo><Info owner="root" group="adm" mode="0640"/></FileInfo>"#,
      "Rules/r.xml": #"<Rules priority="1"><Package name="ssh" type="deb" version="auto"/></Rules>"#,
      "Properties/auto.xml": #"<Properties automatch="true"><Group name="web"><B>2</B></Group></Properties>"#,
      "Properties/site.xml": #"<Properties><A>1</A></Properties>"#,
      "Probes/kernel": "#!/bin/sh\nuname -r\n",
    ])

  static func with(
    files: [String: String] = InfoFixture.files,
    settings: Settings = RepositoryFixture.settings("Cfg", "Rules", "Properties", "Probes"),
    monitor: RepositoryFixture.Monitor = .comparing, _ body: (InfoFixture) async throws -> Void
  ) async throws {
    try await RepositoryFixture.run(files: files, settings: settings, monitor: monitor) { fixture in
      fixture.monitor.processPending()
      try await body(InfoFixture(fixture: fixture, folder: fixture.folder))
    }
  }

  final class Printed {
    var text = ""
  }

  /// What a line prints, and its exit status.
  ///
  /// - Throws: what the mode throws; `InfoProblem` for a line that is wrong.
  func run(_ line: String) async throws -> (status: Int32, out: String) {
    let printed = Printed()
    let context = InfoContext(core: fixture.core) { printed.text += $0 }
    switch ModeParsing.parse(try ShellWords.split(line), isInteractive: false) {
    case .mode(let mode):
      try mode.prepare(context.files)
      return (try await mode.perform(context), printed.text)
    case .done(let text, let isError): return (isError ? 2 : 0, text)
    case .failed(let text): throw InfoProblem(text)
    }
  }

  func out(_ line: String) async throws -> String { try await run(line).out }
}
