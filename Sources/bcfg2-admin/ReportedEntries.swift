import Administration
import ArgumentParser
import Commands
import Core
import EventLoop
import Glibc
import Identity
import Logging
import Repository
import Server

/// `bcfg2-admin minestruct`.
struct MineStruct: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "minestruct", abstract: "Extract extra entry lists from statistics.",
    discussion: "Prints the entries that a client has and its configuration lacks, by the client's last report.")

  @ArgumentParser.Option(name: [.customShort("f"), .customLong("outfile")], help: "Write to the given file.")
  var file: String?

  @ArgumentParser.Option(
    name: [.customShort("g"), .customLong("groups")],
    help: ArgumentHelp("Only build config for groups, each within the one before it.", valueName: "g1:g2"))
  var groups: String?

  @Flag(help: "Print JSON.") var json = false
  @Argument(help: "The client.") var hostname: String
  @ArgumentParser.OptionGroup var common: SharedArguments

  private struct Entry: Encodable {
    let type: String
    let name: String
  }

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    let settings = try context.settings()
    let logger = Logger(label: Bcfg2Admin.program)
    return try context.onLoop { loop in
      let entries: [(tag: String, name: String)]
      do {
        entries = try await ReadingCore.with(
          context.reading(settings, plugins: ["Metadata", "Reporting"]), on: loop
        ) { core in
          guard !core.plugins(of: (any PullSource).self).isEmpty else {
            throw AdminProblem("no plugin knows reports: [server] plugins lacks Reporting")
          }
          return try await core.extraEntries(of: try ReadingCore.client(hostname, core))
        }
      } catch {
        let reason = (error as? AdminProblem)?.text ?? "\(error)"
        throw AdminProblem("Failed to find extra entry info for client \(hostname): \(reason)")
      }
      logger.info("Found \(entries.count) extra entries")
      if json {
        try write(try Output.json(entries.map { Entry(type: $0.tag, name: $0.name) }) + "\n")
        return 0
      }
      let names = groups?.split(separator: ":").map(String.init) ?? []
      let document = MinedStructure.document(entries, groups: names)
      try write(String(decoding: WireWriter.xml(document, isPretty: true), as: UTF8.self))
      return 0
    }
  }

  @MainActor private func write(_ text: String) throws {
    guard let file else { return Output.write(text.hasSuffix("\n") ? text : text + "\n") }
    do {
      let version = try AtomicFile.version(of: file, limitBytes: 1 << 30)
      try AtomicFile.write(FileWrite(Array(text.utf8), to: file, replacing: version, mode: .ordinary))
    } catch {
      throw AdminProblem("\(file): \(error)")
    }
  }
}

/// `bcfg2-admin pull`.
struct Pull: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "pull",
    abstract: "Retrieves entries from clients and integrates the information into the repository.",
    discussion: """
      Takes the client's version of an entry from its last report, and stores it in the variant that the client has now: by the \
      plugins Cfg and SSHbase. Nothing is committed to version control.
      """)

  @Flag(name: [.customShort("I"), .customLong("interactive")], help: "Ask which variant to store each entry in.")
  var interactive = false

  @Flag(
    name: [.customShort("s"), .customLong("stdin")],
    help: "Read lists of <hostname> <entrytype> <entryname> from stdin instead of the command line.")
  var stdin = false

  @Argument(help: "The client.") var hostname: String?
  @Argument(help: "The entry's type, such as Path.") var entrytype: String?
  @Argument(help: "The entry's name.") var entryname: String?
  @ArgumentParser.OptionGroup var common: SharedArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    if stdin, interactive { throw AdminProblem("--stdin and --interactive both need standard input") }
    guard stdin || entryname != nil else {
      throw AdminProblem(
        "You must specify either --stdin or a hostname, entry type, and entry name on the command line.\n"
          + Self.helpMessage())
    }
    let settings = try context.settings()
    return try context.onLoop { loop in
      try await ChangingCore.with(settings, on: loop) { core in
        guard stdin else {
          try await pull(hostname ?? "", entrytype ?? "", entryname ?? "", core)
          return 0
        }
        var status: Int32 = 0
        while let line = readLine() {
          let words = line.split(maxSplits: 2, whereSeparator: \.isWhitespace).map(String.init)
          guard words.count == 3 else {
            Output.print("Bad entry: \(line)")
            status = Exit.failed
            continue
          }
          do {
            try await pull(words[0], words[1], words[2], core)
          } catch let problem as AdminProblem {
            Output.print([problem.text, "  for \(line)"])
            status = Exit.failed
          }
        }
        return status
      }
    }
  }

  /// - Throws: `AdminProblem` alone.
  @MainActor private func pull(_ host: String, _ type: String, _ name: String, _ core: ServerCore) async throws {
    do {
      let client = try ReadingCore.client(host, core)
      let path = try await core.pull(client, tag: type, name: name) { choices in
        interactive ? ask(choices) : choices.first
      }
      guard let path else { return Output.printError("\(type):\(name): nothing was stored") }
      Logger(label: Bcfg2Admin.program).info("\(type):\(name) of \(host) is in \(path) now")
    } catch {
      throw AdminProblem("\(error)")
    }
  }

  @MainActor private func ask(_ choices: [String]) -> String? {
    for (number, path) in choices.enumerated() {
      Output.print("Plugin returned choice:")
      if number == 0 { Output.print("(current entry) ") }
      Output.print(" => \(Self.description(path))")
      Output.write("Use this entry? [yN]: ")
      if ["y", "Y"].contains(readLine() ?? "") { return path }
    }
    return nil
  }

  /// What a variant is for, by the name of its file.
  static func description(_ path: String) -> String {
    let file = String(path.split(separator: "/").last ?? "")
    if let match = file.wholeMatch(of: /.*\.H_(.+)/) { return "host entry: \(match.1)" }
    if let match = file.wholeMatch(of: /.*\.G([0-9]+)_(.+)/) { return "group entry: \(match.2) (prio \(match.1))" }
    return "global entry"
  }
}
