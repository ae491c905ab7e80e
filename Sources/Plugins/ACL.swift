public import Core
import EventLoop
import Glibc
public import Identity
import Logging
import Repository
import ServerSettings

/// ACL: who may call what, by address (ip.xml), then by the client's metadata (metadata.xml). A plugin of 1.4.
///
/// A file that cannot be read keeps its last good version. If there has been none since the start, only this machine
/// (127.0.0.1) may call: a typing error in a list of denials must not allow everything.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/ACL.py.
public final class ACLPlugin: Plugin, ClientACLs {
  public override class var name: String { "ACL" }

  private let addresses: AddressRules
  private let clients: StructFile

  public required init(_ context: PluginContext) {
    let (folder, monitor) = (context.folder, context.core.fileMonitor)
    addresses = AddressRules(path: folder + "/ip.xml", monitor: monitor, logger: context.logger)
    clients = StructFile(path: folder + "/metadata.xml", monitor: monitor, logger: context.logger)
    addresses.rootTags = ["ACL"]
    clients.rootTags = ["ACL"]
    super.init(context)
  }

  public override func load() {
    addresses.watch()
    clients.watch()
  }

  public func checkACL(address: ClientAddress, rmi: String) -> ACLDecision {
    let decision: ACLDecision
    let reason: String
    if let rules = addresses.rules {
      if rules.isEmpty {
        (decision, reason) = (.undecided, "No IP ACLs, defer")
      } else if let rule = rules.first(where: { $0.fits(address.ip) && Self.fits($0.method, rmi) }) {
        (decision, reason) = (rule.decision, "Found matching IP ACL, \(rule.decision)")
      } else if address.ip == "127.0.0.1" {
        (decision, reason) = (.allow, "No matching IP ACLs, localhost allowed")
      } else {
        (decision, reason) = (.undecided, "No matching IP ACLs, defer")
      }
    } else if fileExists(addresses.path) {
      (decision, reason) = (address.ip == "127.0.0.1" ? .allow : .deny, "ip.xml was never read")
    } else {
      (decision, reason) = (.undecided, "No IP ACLs, defer")
    }
    debugLog("ACL: \(address.ip) requests \(rmi): \(reason)")
    return decision
  }

  /// - Throws: why metadata.xml, as a template, cannot be rendered: the call is denied then.
  public func checkACL(metadata: ClientMetadata, rmi: String) async throws -> Bool {
    try await clients.prepare(metadata, by: core.xmlTemplateRenderer)
    let isAllowed: Bool
    let reason: String
    let isLocal = ["localhost", "localhost.localdomain"].contains(metadata.hostname.text)
    if let rules = clients.structure(for: metadata) {
      if rules.root.parts.isEmpty {
        (isAllowed, reason) = (true, "No metadata ACLs, allow")
      } else if let rule = rules.select(metadata).first(where: { Self.fits($0.source["method"], rmi) }) {
        isAllowed = rule.source.tag == "Allow"
        reason = "Found matching metadata ACL, \(rule.source.tag.lowercased())"
      } else {
        (isAllowed, reason) = (isLocal, "No matching metadata ACLs, \(isLocal ? "localhost allowed" : "deny")")
      }
    } else if fileExists(clients.path) {
      (isAllowed, reason) = (isLocal, "metadata.xml was never read")
    } else {
      (isAllowed, reason) = (true, "No metadata ACLs, allow")
    }
    debugLog("ACL: \(metadata.hostname) requests \(rmi): \(reason)")
    return isAllowed
  }

  /// Whether a method's name fits that of a rule: part by part, `*` for any one part. A rule without a method fits none.
  static func fits(_ rule: String?, _ rmi: String) -> Bool {
    guard let rule else { return false }
    if rule == rmi { return true }
    let expected = rule.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    let given = rmi.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return expected.count == given.count
      && zip(expected, given).allSatisfy { $0.elementsEqual($1) || $0.elementsEqual("*".utf8) }
  }
}

/// The rules of ip.xml, in order: the first that fits counts.
private final class AddressRules: XMLFileBacked {
  struct Rule {
    let decision: ACLDecision
    let method: String?
    /// nil: every address.
    let network: Network?

    func fits(_ ip: String) -> Bool { network?.contains(ip) ?? true }
  }

  /// nil before the file was read without errors.
  private(set) var rules: [Rule]?

  override func compile(_ document: RepositoryDocument) throws {
    rules = try document.root.children.compactMap { element in
      let decision: ACLDecision
      switch element.tag {
      case "Allow": decision = .allow
      case "Deny": decision = .deny
      case "Defer": decision = .undecided
      // The root of an included document: Bcfg2 reads no rules from it.
      case document.root.tag where element["method"] == nil: return nil
      default: throw problem(element, "\(element.tag) is none of Allow, Deny, Defer")
      }
      return Rule(decision: decision, method: element["method"], network: try network(element))
    }
  }

  private func network(_ element: Element) throws -> Network? {
    guard let mask = element["netmask"], !mask.isEmpty else {
      return element["address"].map { Network(text: $0, bytes: [], mask: []) }
    }
    guard let text = element["address"], let bytes = Network.bytes(of: text) else {
      throw problem(element, "netmask without an address that fits it")
    }
    if let length = Int(mask) {
      guard (0...bytes.count * 8).contains(length) else { throw problem(element, "netmask \(mask) is out of range") }
      let mask = bytes.indices.map { index in UInt8(truncatingIfNeeded: 0xFF00 >> min(max(length - index * 8, 0), 8)) }
      return Network(text: text, bytes: bytes, mask: mask)
    }
    guard let mask = Network.bytes(of: mask), mask.count == bytes.count else {
      throw problem(element, "netmask \(mask) is no netmask")
    }
    return Network(text: text, bytes: bytes, mask: mask)
  }

  private func problem(_ element: Element, _ message: String) -> XMLFileError {
    XMLFileError(path: path, line: Int(element.line), message: message)
  }
}

/// One address, or all addresses of a network.
private struct Network {
  let text: String
  let bytes: [UInt8]
  /// Empty: the text of the address is compared.
  let mask: [UInt8]

  func contains(_ ip: String) -> Bool {
    if mask.isEmpty { return ip == text }
    guard let other = Self.bytes(of: ip), other.count == bytes.count else { return false }
    return bytes.indices.allSatisfy { bytes[$0] & mask[$0] == other[$0] & mask[$0] }
  }

  /// The 4 or 16 bytes of an address; nil for other text.
  static func bytes(of text: String) -> [UInt8]? {
    for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
      var bytes = [UInt8](repeating: 0, count: count)
      if inet_pton(family, text, &bytes) == 1 { return bytes }
    }
    return nil
  }
}
