import Core
import EventLoop
import Glibc
import Identity
import Repository
import ServerSettings
import XMLRPC

/// The info.xml of a folder of Cfg, as FileProbes makes it and adds to it.
///
/// Bcfg2 writes the permissions that the first client reports, for all clients. This server does so as long as they are
/// harmless and every client reports the same. Otherwise it writes each client's permissions below a `<Client>` of its own,
/// so that a client's report counts for that client alone, and the others get those of `[mdata]`. An info.xml that somebody
/// else wrote, or edited, stays as it is.
struct FileProbeInfo {
  /// The comment that marks a file as written by this plugin.
  private static let mark = "<!-- Written by FileProbes, which adds to it -->"
  private static let limitBytes = RepositoryXML.fileLimitBytes
  /// Bits that a mode for all clients may have: only the owner may write, and no program changes its user or group.
  private static let harmlessBits = 0o755

  /// Owner, group, mode of a file on a client.
  struct Permissions: Equatable {
    var owner: String
    var group: String
    /// Octal digits.
    var mode: String

    init(_ defaults: Settings.PathDefaults) {
      owner = defaults.owner
      group = defaults.group
      mode = defaults.mode
    }

    /// The permissions that a client reports; the defaults for those that it leaves out.
    ///
    /// - Throws: `PluginExecutionError` for a wrong mode or a wrong name of a user or group.
    init(_ document: Element, defaults: Settings.PathDefaults) throws {
      self.init(defaults)
      owner = document["owner"] ?? owner
      group = document["group"] ?? group
      mode = document["mode"] ?? mode
      for name in [owner, group] where name.utf8.count > 255 || name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
        throw PluginExecutionError("\(name.beginning(bytes: 255)) is no name of a user or group")
      }
      guard bits != nil else { throw PluginExecutionError("\(mode.beginning(bytes: 255)) is no mode of a file") }
    }

    fileprivate init?(_ info: Element) {
      guard info.tag == "Info", info.children.isEmpty, let owner = info["owner"], let group = info["group"],
        let mode = info["mode"]
      else { return nil }
      (self.owner, self.group, self.mode) = (owner, group, mode)
    }

    fileprivate var bits: Int? {
      guard !mode.isEmpty, mode.utf8.count <= 5, mode.utf8.allSatisfy({ $0 >= 0x30 && $0 < 0x38 }) else { return nil }
      return Int(mode, radix: 8).flatMap { $0 <= 0o7777 ? $0 : nil }
    }

    fileprivate var isHarmless: Bool { bits.map { $0 & ~FileProbeInfo.harmlessBits == 0 } ?? false }

    static func == (one: Permissions, other: Permissions) -> Bool {
      Name.areSame(one.owner, other.owner) && Name.areSame(one.group, other.group) && one.bits == other.bits
    }
  }

  /// What an info.xml holds.
  private enum Form {
    case missing
    /// The same for all clients.
    case same(Permissions)
    /// By client, and for all others.
    case byClient([(client: String, permissions: Permissions)], others: Permissions)
    /// Somebody else's file.
    case foreign
  }

  /// The path of the info.xml.
  let path: String
  /// What the file holds now.
  let version: FileVersion
  private let folder: String
  private let form: Form
  private let defaults: Permissions
  /// The attribute `encoding`, which Bcfg2 1.3 writes.
  private let encoding: String?

  /// Reads the info.xml of a folder.
  init(folder: String, defaults: Settings.PathDefaults, encoding: String?) throws(SystemError) {
    self.folder = folder
    path = "\(folder)/info.xml"
    self.defaults = Permissions(defaults)
    self.encoding = encoding
    do throws(SystemError) {
      let file = try AtomicFile.readVersion(path, limitBytes: Self.limitBytes)
      version = file.version
      form = Self.read(file.bytes, path)
    } catch {
      guard error.errno == ENOENT else { throw error }
      version = .missing
      form = .missing
    }
  }

  /// What info.xml has to hold when a client got a new file; nil where it can stay.
  func adding(_ permissions: Permissions, of client: ClientName) -> [UInt8]? {
    switch form {
    case .foreign: return nil
    case .missing:
      let hasOthers = otherFiles(than: client).isEmpty == false
      if permissions.isHarmless, !hasOthers { return written(.same(permissions)) }
      return written(
        .byClient([(client.text, permissions)], others: hasOthers ? defaults : narrowed([permissions])))
    case .same(let known):
      if known == permissions { return nil }
      // Every client that has a file by now has reported the same.
      let hosts = otherFiles(than: client).compactMap { file -> String? in
        guard case .host(let host)? = Specificity(fileName: file, baseName: RepositoryPath.name(of: folder)) else {
          return nil
        }
        return host.text
      }
      return written(
        .byClient(
          hosts.map { ($0, known) } + [(client.text, permissions)], others: narrowed([known, permissions])))
    case .byClient(var clients, let others):
      if let index = clients.firstIndex(where: { client.isSame(as: $0.client) }) {
        if clients[index].permissions == permissions { return nil }
        clients[index].permissions = permissions
      } else {
        clients.append((client.text, permissions))
      }
      return written(.byClient(clients, others: others))
    }
  }

  /// Permissions for clients that have no file of their own: never more than the default, nor than what was reported.
  private func narrowed(_ reported: [Permissions]) -> Permissions {
    var others = defaults
    let bits = reported.reduce(defaults.bits ?? 0o644) { $0 & ($1.bits ?? 0) } | 0o400
    others.mode = "0" + String(bits, radix: 8)
    return others
  }

  /// Names of files in the folder that are not a client's own, nor info.xml.
  private func otherFiles(than client: ClientName) -> [String] {
    guard case .success(let names) = FileSystem.names(in: folder) else { return [] }
    let own = "\(RepositoryPath.name(of: folder)).H_\(client)"
    return names.compactMap { String(validating: $0, as: UTF8.self) }.filter {
      !Name.areSame($0, own) && $0 != "info.xml" && !AtomicFile.isTemporaryName($0)
    }.sorted()
  }

  // MARK: Text

  private static func read(_ bytes: [UInt8], _ path: String) -> Form {
    guard String(decoding: bytes, as: UTF8.self).contains(mark),
      let root = try? RepositoryXML.parse(bytes, path: path).root, let last = root.children.last,
      let others = Permissions(last)
    else { return .foreign }
    if root.children.count == 1 { return .same(others) }
    var clients: [(client: String, permissions: Permissions)] = []
    for element in root.children.dropLast() {
      guard element.tag == "Client", element.attributes.count == 1, let name = element.name,
        element.children.count == 1, let permissions = Permissions(element.children[0])
      else { return .foreign }
      clients.append((name, permissions))
    }
    return .byClient(clients, others: others)
  }

  private func written(_ form: Form) -> [UInt8] {
    var text = "<FileInfo>\n  \(Self.mark)\n"
    switch form {
    case .same(let permissions): text += "  \(element(permissions))\n"
    case .byClient(let clients, let others):
      for (client, permissions) in clients {
        text += "  <Client name=\"\(Self.escaped(client))\">\(element(permissions))</Client>\n"
      }
      text += "  \(element(others))\n"
    case .missing, .foreign: preconditionFailure("nothing is written of it")
    }
    return Array("\(text)</FileInfo>\n".utf8)
  }

  private func element(_ permissions: Permissions) -> String {
    var attributes = [
      ("owner", permissions.owner), ("group", permissions.group), ("mode", permissions.mode),
    ]
    if let encoding { attributes.append(("encoding", encoding)) }
    return "<Info" + attributes.map { " \($0)=\"\(Self.escaped($1))\"" }.joined() + "/>"
  }

  private static func escaped(_ value: String) -> String {
    String(decoding: XMLEscape.escaped(value, as: .attribute), as: UTF8.self)
  }
}
