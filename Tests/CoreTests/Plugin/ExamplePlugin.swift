import Core
import Identity
import Repository
import ServerSettings
import XMLRPC

/// `[notices]` of bcfg2.conf.
nonisolated struct NoticesOptions: OptionGroup {
  static let standard = NoticesOptions()

  let lines = Option("notices", "lines", .integer(1...100), default: "10", .ours, help: "The most lines for one client")
}

/// Notices: texts for the users of some clients.
///
/// `Notices/notices.xml` holds `<Notice>` elements within Group and Client conditions. Those that apply to a client are
/// lines of `<Path name="/etc/motd.d/notices"/>`, and templates get them as `metadata.Notices`.
final class NoticesPlugin: Plugin, Generator, Connector {
  override class var name: String { "Notices" }
  override class var options: any OptionGroup { NoticesOptions.standard }

  private static let path = "/etc/motd.d/notices"
  private let file: StructFile

  required init(_ context: PluginContext) {
    file = StructFile(
      path: context.folder + "/notices.xml", monitor: context.core.fileMonitor, logger: context.logger)
    super.init(context)
  }

  override func load() {
    // Metadata holds what this plugin adds to it: where it is cached, an edit has to end that.
    file.onChange = { [unowned core] in core.expireMetadataCache() }
    file.watch()
  }

  private func notices(_ metadata: ClientMetadata) -> [String] {
    let texts = file.match(metadata).filter { $0.tag == "Notice" }.compactMap(\.text)
    return Array(texts.prefix(core.settings[NoticesOptions.standard.lines]))
  }

  // MARK: Connector

  func additionalData(_ metadata: ClientMetadata) async throws -> (any ConnectorData)? {
    Notices(texts: notices(metadata))
  }

  // MARK: Generator

  func binder(tag: String, name: String) -> EntryBinder? {
    guard tag == "Path", name == Self.path else { return nil }
    return .now { [unowned self] entry, metadata in
      let lines = notices(metadata)
      guard !lines.isEmpty else { throw PluginExecutionError("no notices for \(metadata.hostname)") }
      for (attribute, value) in [("type", "file"), ("owner", "root"), ("group", "root"), ("mode", "0644")] {
        entry[attribute] = value
      }
      entry.text = lines.map { $0 + "\n" }.joined()
    }
  }

  func entryNames(tag: String) -> [String] { tag == "Path" ? [Self.path] : [] }

  // MARK: RMI

  override var rmi: [String: RemoteMethod] {
    var methods = super.rmi
    methods["Show"] = RemoteMethod { [unowned self] arguments in
      try arguments.require(1, of: "Show")
      guard let text = arguments[0].string else { throw ParameterError("a client's name is a string") }
      let client = try ClientName(recorded: text)
      return .array(notices(try await core.buildMetadata(client)).map { .string($0) })
    }
    return methods
  }
}

/// The notices of one client.
struct Notices: ConnectorData {
  let texts: [String]
}
