import Administration
import ArgumentParser
import Commands
import Core
import EventLoop
import Identity
import Plugins
import Repository
import Server
import ServerSettings

/// `bcfg2-admin viz`.
struct Viz: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "viz", abstract: "Produce graphviz diagrams of metadata structures.",
    discussion: """
      Prints the text that graphviz's programs read. With -o, the suffix of the file names the format: .dot and .gv are that \
      text, for any other graphviz's dot draws the diagram, as it does with --svg.
      """)

  @Flag(name: [.customShort("H"), .customLong("includehosts")], help: "Include hosts in the viz output.")
  var hosts = false

  @Flag(name: [.customShort("b"), .customLong("includebundles")], help: "Include bundles in the viz output.")
  var bundles = false

  @Flag(name: [.customShort("k"), .customLong("includekey")], help: "Show a key for different digraph shapes.")
  var key = false

  @ArgumentParser.Option(
    name: [.customShort("c"), .customLong("only-client")],
    help: ArgumentHelp("Only show groups and bundles for the named client.", valueName: "hostname"))
  var client: String?

  @ArgumentParser.Option(
    name: [.customShort("o"), .customLong("outfile")], help: "Write viz output to an output file.")
  var file: String?

  @Flag(help: "Have graphviz draw an SVG image.") var svg = false
  @ArgumentParser.OptionGroup var common: VizShared

  func validate() throws {
    if svg, let suffix, suffix != "svg" {
      throw ArgumentParser.ValidationError("--svg and -o \(file ?? "") name two formats")
    }
  }

  /// The suffix of the file's name; nil without one.
  private var suffix: String? {
    guard let name = file?.split(separator: "/").last, let dot = name.lastIndex(of: ".") else { return nil }
    return String(name[name.index(after: dot)...])
  }

  /// Plugins that say nothing of groups and bundles of a client.
  private static let needless: Set<String> = [
    "Cfg", "Pkgmgr", "Packages", "Rules", "Decisions", "Deps", "Git", "Svn", "Fossil", "Bzr", "Bundler",
  ]
  private static let pictureLimitBytes = 256 << 20

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    // Before this process becomes the server's user.
    let output = try openOutput()
    let settings = try context.settings()
    let plugins = client == nil ? ["Metadata"] : settings.plugins.filter { !Self.needless.contains($0) }
    return try context.onLoop { loop in
      let text = try await ReadingCore.with(context.reading(settings, plugins: plugins), on: loop) { core in
        try await graph(core).text
      }
      try await write(text, to: output, on: loop)
      return 0
    }
  }

  @MainActor private func graph(_ core: ServerCore) async throws -> GroupGraph {
    guard let metadata = core.metadata as? MetadataPlugin else { throw AdminProblem("No Metadata Plugin") }
    let root: Element
    switch XIncludedDocument(path: metadata.groupsPath).document {
    case .success(let document): root = document.root
    case .failure(let error): throw AdminProblem("\(error)")
    }
    var choice = GroupGraph.Choice()
    (choice.hosts, choice.bundles, choice.key) = (hosts, bundles, key)
    if let client { choice.client = try await core.buildMetadata(try ReadingCore.client(client, core)) }
    let clients = hosts ? await metadata.listClients() : []
    return GroupGraph(
      root, memberships: clients.map { ($0.text, metadata.recordedProfiles(of: $0)) }, choice)
  }

  /// Writes the text, or the picture that dot makes of it.
  @MainActor private func write(_ text: String, to target: CommandFile?, on loop: Reactor) async throws {
    let format = svg ? "svg" : file == nil ? "dot" : suffix ?? "dot"
    guard format != "dot", format != "gv" else { return try deliver(Array(text.utf8), to: target) }
    let command = ["dot", "-T", format]
    do {
      let output = try await ChildProcess.run(
        command, input: Array(text.utf8), timeout: .seconds(600), outputLimitBytes: Self.pictureLimitBytes, on: loop)
      guard output.status.isSuccess else {
        throw AdminProblem("Error running \(command): \(String(decoding: output.standardError, as: UTF8.self))")
      }
      try deliver(output.standardOutput, to: target)
    } catch let error as ChildProcess.RunError {
      throw AdminProblem(
        "Error running \(command): \(error). Install graphviz, or write the text to a file whose name ends with .dot")
    }
  }

  @MainActor private func openOutput() throws -> CommandFile? {
    do {
      return try file.map { try CommandFile($0) }
    } catch {
      throw AdminProblem("\(error)")
    }
  }

  @MainActor private func deliver(_ bytes: [UInt8], to target: CommandFile?) throws {
    guard let target else {
      Output.write(bytes)
      return
    }
    do {
      try target.write(bytes)
    } catch {
      throw AdminProblem("\(file ?? ""): \(error)")
    }
  }
}

/// The options before the mode, behind it: `-o` is the mode's own.
struct VizShared: ModeArguments {
  @ArgumentParser.OptionGroup var configuration: ConfigurationArguments
  @ArgumentParser.OptionGroup var repository: RepositoryArguments
  @ArgumentParser.OptionGroup var debug: DebugArguments

  func adding(to options: CommandLineOptions) -> CommandLineOptions {
    debug.adding(to: repository.adding(to: configuration.adding(to: options)))
  }
}
