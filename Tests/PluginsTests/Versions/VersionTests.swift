import CoreSupport
import EventLoop
import Glibc
import Identity
import OrderedCollections
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core
@testable import Plugins

/// Runs git in a folder, without the user's own configuration.
private func git(_ arguments: String..., in folder: String, on loop: Reactor) async throws -> String {
  try await git(arguments, in: folder, on: loop)
}

private func git(_ arguments: [String], in folder: String, on loop: Reactor) async throws -> String {
  let output = try await ChildProcess.run(
    ["git"] + arguments,
    environment: [
      "PATH": "/usr/bin:/bin", "HOME": folder, "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a",
      "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com",
    ], workingDirectory: folder, timeout: .seconds(120), outputLimitBytes: 1 << 20, on: loop)
  if let failure = output.failure { throw PluginExecutionError(failure) }
  return output.lines.first ?? ""
}

@Test func gitTellsTheCommitAndFollowsItsUpstream() async throws {
  let upstream = TemporaryDirectory()
  let settings = RepositoryFixture.settings("Git")
  try await RepositoryFixture.run(files: [:], settings: settings, loading: .nothing) { fixture async throws in
    let loop = fixture.loop
    for (path, text) in RepositoryFixture.files() { upstream.write(text, to: path) }
    _ = try await git("init", "-q", "-b", "main", in: upstream.path, on: loop)
    _ = try await git("add", ".", in: upstream.path, on: loop)
    _ = try await git("commit", "-qm", "first", in: upstream.path, on: loop)
    _ = try await git("clone", "-q", upstream.path, "repo", in: fixture.folder.path, on: loop)
    let first = try await git("rev-parse", "HEAD", in: upstream.path, on: loop)

    let core = fixture.core
    try core.loadPlugins()
    let plugin = try fixture.plugin(GitPlugin.self)
    #expect(try await core.buildConfiguration("one.example.com")["revision"] == first)
    #expect(try await plugin.rmi["get_revision"]?.call([]) == .string(first))

    upstream.write("<Bundle><BoundPackage name=\"new\"/></Bundle>", to: "Bundler/entries.xml")
    _ = try await git("commit", "-qam", "second", in: upstream.path, on: loop)
    let second = try await git("rev-parse", "HEAD", in: upstream.path, on: loop)
    let update = try #require(plugin.rmi["Update"])
    #expect(try await update.call([]) == .bool(true))
    let configuration = try await core.buildConfiguration("one.example.com")
    #expect(configuration["revision"] == second)
    #expect(configuration.children.first?.children.first?.name == "new")

    #expect(try await update.call([.string(first)]) == .bool(true))
    #expect(try await plugin.getRevision() == first)
    await #expect(throws: PluginExecutionError.self) { try await update.call([.string("no-such-branch")]) }
    await #expect(throws: PluginExecutionError.self) { try await update.call([.string("--orphan=x")]) }
  }
}

/// A git commit that changes no file of the repository, in each form of a working copy.
@Test(arguments: ["plain", "packed", "worktree", "detached", "symbolic", "reftable"])
func aCommitThatTouchesNoWatchedFileIsInTheNextAnswer(form: String) async throws {
  let settings = RepositoryFixture.settings("Git")
  try await RepositoryFixture.run(files: [:], settings: settings, monitor: .inotify, loading: .nothing) {
    (fixture: RepositoryFixture) async throws in
    let (folder, core, loop) = (fixture.folder, fixture.core, fixture.loop)
    let main = form == "worktree" ? "main" : "repo"
    for (path, text) in RepositoryFixture.files() { folder.write(text, to: "\(main)/\(path)") }
    @MainActor func run(_ arguments: String..., in place: String) async throws -> String {
      try await git(arguments, in: folder.file(place), on: loop)
    }
    let isTable = form == "reftable"
    do {
      let kind = isTable ? ["--ref-format=reftable"] : []
      _ = try await git(["init", "-q", "-b", "main"] + kind, in: folder.file(main), on: loop)
    } catch  where isTable {
      // Since git 2.45.
      return
    }
    _ = try await run("add", ".", in: main)
    _ = try await run("commit", "-qm", "first", in: main)
    switch form {
    case "packed": _ = try await run("pack-refs", "--all", in: main)
    case "worktree": _ = try await run("worktree", "add", "-q", folder.file("repo"), in: main)
    case "detached": _ = try await run("checkout", "-q", "--detach", in: main)
    case "symbolic":
      _ = try await run("symbolic-ref", "refs/heads/deploy", "refs/heads/main", in: main)
      _ = try await run("symbolic-ref", "HEAD", "refs/heads/deploy", in: main)
    default: break
    }
    try core.loadPlugins()
    @MainActor func ask() async -> String { await fixture.askLocally("GetConfig") }
    @MainActor func head() async throws -> String { try await run("rev-parse", "HEAD", in: "repo") }
    @MainActor func isAnswered() async throws -> Bool {
      let commit = try await head()
      return await ask().contains("revision=\"\(commit)\"")
    }
    let first = try await head()
    #expect(await ask().contains("revision=\"\(first)\""))
    for number in 0..<3 {
      let generation = core.repositoryGeneration
      let old = try await head()
      _ = try await run("commit", "-q", "--allow-empty", "-m", "\(number)", in: "repo")
      let new = try await head()
      #expect(new != old)
      #expect(await ask().contains("revision=\"\(new)\""), "\(form) \(number)")
      // It reads no file of the repository again.
      #expect(core.repositoryGeneration == generation)
      if form == "packed" { _ = try await run("pack-refs", "--all", in: "repo") }
    }
    // Another branch, with the same files.
    _ = try await run("checkout", "-q", "-b", "other", in: "repo")
    _ = try await run("commit", "-q", "--allow-empty", "-m", "other", in: "repo")
    #expect(try await isAnswered(), "\(form)")
    _ = try await run("commit", "-q", "--allow-empty", "-m", "more", in: "repo")
    #expect(try await isAnswered(), "\(form)")
  }
}

/// A version plugin, the file that its program writes with each revision, and what makes a working copy of a folder.
private nonisolated let revisionFiles: [(plugin: VersionPlugin.Type, metadata: String, file: String)] = [
  (SvnPlugin.self, ".svn/x", ".svn/wc.db"), (SvnPlugin.self, ".svn/x", ".svn/entries"),
  (HgPlugin.self, ".hg/x", ".hg/store/00changelog.i"), (BzrPlugin.self, "x", ".bzr/branch/last-revision"),
  (CvsPlugin.self, "CVSROOT/x", "CVS/Entries"), (DarcsPlugin.self, "_darcs/x", "_darcs/hashed_inventory"),
  (FossilPlugin.self, "_FOSSIL_", "_FOSSIL_"),
]

@Test(arguments: revisionFiles.indices)
func theFileOfARevisionIsWatched(index: Int) async throws {
  let (type, metadata, file) = revisionFiles[index]
  try await LoopDriver.withLoop { (loop: Reactor) async throws in
    // Files of version control are watched even if the repository ignores their names.
    let monitor = InotifyMonitor(ignored: IgnoreList(["*.db", "*.svn*", "_FOSSIL_"]), on: loop)
    let fixture = try RepositoryFixture(
      files: RepositoryFixture.files([metadata: ""]), settings: RepositoryFixture.settings(type.name),
      monitor: .given(monitor), on: loop)
    let core = fixture.core
    #expect(core.plugins[type.name] != nil)
    let plugin = try #require(core.plugins[type.name] as? VersionPlugin)
    plugin.programFolder = fixture.repository.file("bin")
    plugin.readTimeout = .seconds(600)
    for _ in 0..<2 {
      await core.updateRevisionIfNeeded()
      #expect(core.isRevisionKnown)
      let generation = core.repositoryGeneration
      fixture.edit(file, "another")
      #expect(!core.isRevisionKnown && core.repositoryGeneration == generation)
    }
  }
}

@Test func withoutAWorkingCopyThePluginIsNotLoaded() async throws {
  let settings = RepositoryFixture.settings("Git", "Svn", "Hg", "Cvs", "Darcs", "Fossil")
  try await RepositoryFixture.run(files: RepositoryFixture.files(), settings: settings) { fixture async throws in
    #expect(fixture.core.plugins.keys == ["Bundler", "Metadata", "DefaultACL"])
    #expect(try await fixture.configuration(of: "one.example.com")["revision"] == "-1")
  }
}

/// What the program prints, and the revision read from it; nil if there is none.
private nonisolated struct Program: CustomTestStringConvertible {
  let plugin: VersionPlugin.Type
  let metadata: String
  let program: String
  let script: String
  var compatibility = Compatibility.v1_4
  let revision: String?

  var testDescription: String { "\(plugin) \(script)" }

  nonisolated static let all: [Program] = [
    Program(
      plugin: SvnPlugin.self, metadata: ".svn/x", program: "svn",
      script: "printf 'Path: .\\nRevision: 42\\nLast Changed Rev: 41\\n'", revision: "42"),
    Program(plugin: SvnPlugin.self, metadata: ".svn/x", program: "svn", script: "echo no >&2; exit 1", revision: nil),
    Program(plugin: HgPlugin.self, metadata: ".hg/x", program: "hg", script: "echo 7", revision: "7"),
    Program(plugin: HgPlugin.self, metadata: ".hg/x", program: "hg", script: "exit 255", revision: nil),
    Program(
      plugin: BzrPlugin.self, metadata: "x", program: "bzr",
      script: "if [ $1 = revno ]; then echo 12; fi", revision: "12"),
    Program(
      plugin: BzrPlugin.self, metadata: "x", program: "bzr",
      script: "if [ $1 = revno ]; then echo 12; else echo '?  file'; fi", revision: "12+"),
    Program(
      plugin: CvsPlugin.self, metadata: "CVSROOT/x", program: "cvs", script: "printf ' a \\nb\\nc\\n d\\n'",
      revision: "a"),
    Program(
      plugin: CvsPlugin.self, metadata: "CVSROOT/x", program: "cvs", script: "printf 'a\\nb\\nc\\n d\\n'",
      compatibility: .v1_3, revision: "d"),
    Program(plugin: CvsPlugin.self, metadata: "CVSROOT/x", program: "cvs", script: "exit 1", revision: nil),
    Program(
      plugin: DarcsPlugin.self, metadata: "_darcs/x", program: "darcs", script: "echo 'patch abc'; echo more",
      revision: "patch abc"),
    Program(
      plugin: FossilPlugin.self, metadata: "_FOSSIL_", program: "fossil",
      script: "echo 'project-name: x'; echo 'checkout:     abc123 2026-01-01 UTC'", revision: "abc123"),
    Program(plugin: FossilPlugin.self, metadata: "_FOSSIL_", program: "fossil", script: "echo none", revision: nil),
  ]
}

@Test(arguments: Program.all)
private func revisionsAreTakenFromPrograms(_ program: Program) async throws {
  let files = RepositoryFixture.files([program.metadata: ""])
  let settings = RepositoryFixture.settings(program.plugin.name, compatibility: program.compatibility)
  try await RepositoryFixture.run(files: files, settings: settings) { fixture async throws in
    fixture.repository.write("#!/bin/sh\n\(program.script)\n", to: "bin/\(program.program)", mode: 0o755)
    let plugin = try #require(fixture.core.plugins[program.plugin.name] as? VersionPlugin)
    plugin.programFolder = fixture.repository.file("bin")
    plugin.readTimeout = .seconds(600)
    if let revision = program.revision {
      #expect(try await plugin.getRevision() == revision)
    } else {
      await #expect(throws: PluginExecutionError.self) { try await plugin.getRevision() }
    }
    #expect(try await fixture.configuration(of: "one.example.com")["revision"] == program.revision ?? "-1")
  }
}

@Test func subversionGetsOptionsAndItsPasswordUnseen() async throws {
  let directory = TemporaryDirectory()
  let conf = directory.write(
    """
    [server]
    plugins = Metadata,Svn
    [svn]
    user = me
    password = secret
    always_trust = true
    conflict_resolution = theirs_conflict
    """, to: "bcfg2.conf")
  var settings = try Settings(INIFile(path: conf), registry: PluginRegistry.standard.settings)
  settings.versionControlRoot = nil
  try await RepositoryFixture.run(files: RepositoryFixture.files([".svn/x": ""]), settings: settings) {
    fixture async throws in
    let script = """
      #!/bin/sh
      case "$*" in *" info "*) echo "Revision: 5" ;; *) echo "$*" >> called; cat >> typed ;; esac
      """
    fixture.repository.write(script, to: "bin/svn", mode: 0o755)
    let plugin = try fixture.plugin(SvnPlugin.self)
    plugin.programFolder = fixture.repository.file("bin")
    plugin.readTimeout = .seconds(600)
    #expect(try await fixture.call("Svn.Commit") == .bool(true))
    let calls = try fixture.text("called").split(separator: "\n")
    #expect(calls.count == 3 && calls[1].contains(" commit -m Svn: autocommit "))
    for call in calls {
      #expect(call.contains("--non-interactive") && call.contains("--username me --password-from-stdin"))
      #expect(call.contains("--trust-server-cert-failures") && !call.contains("secret"))
    }
    #expect(calls[0].contains(" update --accept theirs-conflict "))
    #expect(try fixture.text("typed") == "secretsecretsecret")
    fixture.repository.write("#!/bin/sh\nexit 1\n", to: "bin/svn", mode: 0o755)
    #expect(try await fixture.call("Svn.Update") == .bool(false))
  }
}
