import Core
import EventLoop
import Formats
import Glibc
import Identity
import Logging
import Repository
import ServerSettings
import XMLRPC

/// Nagios configuration: each client's host definition, and on the Nagios server all of them together.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/NagiosGen.py.
final class NagiosGenPlugin: Plugin, Generator, SourceTelling {
  override class var name: String { "NagiosGen" }

  private static let hostPath = "/etc/nagiosgen.status"
  private static let limitBytes = 64 << 20

  private let config: StructFile
  private var is13: Bool { core.settings.compatibility == .v1_3 }
  private var serverPath: String { is13 ? "/etc/nagios/nagiosgen.cfg" : "/etc/nagios/conf.d/bcfg2.cfg" }

  required init(_ context: PluginContext) {
    config = StructFile(
      path: context.folder + "/config.xml", monitor: context.core.fileMonitor, logger: context.logger,
      creatingTopTag: Self.name)
    super.init(context)
  }

  override func load() { config.watch() }

  func binder(tag: String, name: String) -> EntryBinder? {
    guard tag == "Path" else { return nil }
    if name == Self.hostPath { return .later { [unowned self] in try await bindHost($0, $1) } }
    if name == serverPath { return .later { [unowned self] in try await bindServer($0, $1) } }
    return nil
  }

  func entryNames(tag: String) -> [String] { tag == "Path" ? [serverPath, Self.hostPath] : [] }

  func sources(of entry: Element, _ metadata: ClientMetadata) async throws -> [BindingSource] {
    guard entry.tag == "Path" else { return [] }
    if entry.name == serverPath {
      return ["host", "group"].flatMap { RepositoryPath.glob("\(folder)/*-\($0).cfg") }.map {
        BindingSource(kind: "part", path: $0, scope: "all clients", outcome: .used)
      }
    }
    guard entry.name == Self.hostPath else { return [] }
    try await config.prepare(metadata, by: core.xmlTemplateRenderer)
    // Of two options of one name the last one counts.
    let options = config.match(metadata).filter { $0.tag == "Option" }
    return options.enumerated().map { place, option in
      let isLast = !options[(place + 1)...].contains { Name.areSame($0.name ?? "", option.name ?? "") }
      return BindingSource(
        kind: "option", path: config.path, line: option.line, scope: "this client",
        attributes: [option.name ?? "None": option.text ?? "None"],
        outcome: isLast ? .used : .lost("a later option has the same name"))
    }
  }

  private func bindHost(_ entry: Element, _ metadata: ClientMetadata) async throws {
    // Depends on name service, and on files that are not watched.
    metadata.markUncacheable()
    try requireFolder()
    guard let address = await address(of: metadata.hostname.text) else {
      throw PluginExecutionError("Failed to find IP address for \(metadata.hostname)")
    }
    let host = try ForeignGrammar.nagiosName(metadata.hostname.text)
    var lines = [
      "define host {", Self.line("host_name", host), Self.line("alias", host),
      Self.line("address", try ForeignGrammar.nagiosValue(address, of: "address")),
    ]
    var hostGroups = metadata.groups.filter { isGroup($0, "group") }
    if !is13 { hostGroups.formUnion(metadata.bundles.lazy.map(\.text).filter { self.isGroup($0, "bundle") }) }
    if !hostGroups.isEmpty { lines.append(Self.line("hostgroups", hostGroups.sorted().joined(separator: ","))) }
    // Of two options of one name the last one counts.
    var options = PythonDictionary<String>()
    try await config.prepare(metadata, by: core.xmlTemplateRenderer)
    for option in config.match(metadata) where option.tag == "Option" {
      options.set(option.name ?? "None", option.text ?? "None")
    }
    for (name, value) in options.items {
      lines.append(Self.line(try ForeignGrammar.nagiosName(name), try ForeignGrammar.nagiosValue(value, of: name)))
    }
    if options["use"] == nil { lines.append(Self.line("use", "default")) }
    lines.append("}")
    let text = lines.joined(separator: "\n") + "\n"
    set(entry, text, owner: "root", mode: "0400")
    try await keep(text, try NamedFile.path("\(host)-host.cfg", in: folder))
  }

  private func bindServer(_ entry: Element, _ metadata: ClientMetadata) async throws {
    // Depends on the files of other clients.
    metadata.markUncacheable()
    try requireFolder()
    let hosts = try RepositoryPath.glob("\(folder)/*-host.cfg").map(read)
    var used: Set<Substring> = is13 ? [] : ["default"]
    for line in hosts.lazy.flatMap({ $0.split(whereSeparator: \.isNewline) }) where line.contains("hostgroup") {
      let words = line.split(whereSeparator: \.isWhitespace)
      if words.count > 1 { used.formUnion(words[1].split(separator: ",")) }
    }
    // 1.4 also reads the files of bundles, but looks for groups of hosts by their whole name, which never matches.
    let groups = try RepositoryPath.glob("\(folder)/*-group.cfg").filter { path in
      used.contains(RepositoryPath.name(of: path).dropLast("-group.cfg".utf8.count))
    }.map(read)
    let text = "\(groups.joined(separator: "\n"))\n\n\(hosts.joined(separator: "\n"))"
    set(entry, text, owner: "nagios", mode: "0440")
    try await keep(text, "\(folder)/nagiosgen.cfg")
  }

  /// Throws if the folder is away: no file of a group would be found, and the answer would lack them.
  private func requireFolder() throws {
    guard core.isReadOnly || isFolder(folder) else { throw PluginExecutionError("\(folder) is not there") }
  }

  private static func line(_ name: String, _ value: String) -> String {
    "\t" + name + String(repeating: " ", count: max(32 - name.unicodeScalars.count, 0)) + " " + value
  }

  private func set(_ entry: Element, _ text: String, owner: String, mode: String) {
    entry.text = text
    entry["encoding"] = "ascii"
    entry["owner"] = owner
    entry["group"] = owner
    entry["type"] = "file"
    entry["mode"] = mode
  }

  /// The first address of a host; an address is returned as it is.
  private func address(of host: String) async -> String? {
    if SocketAddress(host: host, port: 0) != nil { return host }
    let found = await core.resolver.addresses(of: host)
    return is13 ? found.first { !$0.utf8.contains(UInt8(ascii: ":")) } : found.first
  }

  /// Whether the folder defines a group of hosts for a group or bundle, whose name Nagios can read.
  private func isGroup(_ name: String, _ kind: String) -> Bool {
    guard let path = try? NamedFile.path("\(name)-\(kind).cfg", in: folder) else { return false }
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
    do {
      _ = try ForeignGrammar.nagiosName(name)
      return true
    } catch {
      logger.error("\(path): \(error)")
      return false
    }
  }

  /// A text file of the plugin's folder.
  private func read(_ path: String) throws -> String {
    let bytes = try AtomicFile.readFile(path, limitBytes: Self.limitBytes)
    if let flaw = XMLCharacters.firstFlaw(in: bytes) {
      throw XMLFileError(path: path, line: 0, message: "cannot be sent to clients: \(flaw)")
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Writes a file in the plugin's folder, unless it has this text already.
  ///
  /// - Throws: `PluginExecutionError` if it cannot be written: the entry fails, because Nagios would not know the host.
  private func keep(_ text: String, _ path: String) async throws {
    let bytes = Array(text.utf8)
    if fileExists(path), let old = try? AtomicFile.readFile(path, limitBytes: Self.limitBytes), old == bytes { return }
    do throws(FileWriteError) {
      try await core.loop.fileWriter.overwrite(path, with: bytes, mode: .ordinary, limitBytes: Self.limitBytes)
    } catch {
      let message = "Failed to write \(path): \(error)"
      logger.error("\(message)")
      throw PluginExecutionError(message, forClients: "Failed to write \(core.textForClients(error))")
    }
  }
}
