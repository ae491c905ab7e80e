import Logging

/// An XML file with Group and Client conditions around its contents.
///
/// Compiled when it is read: `match` and `xmlMatch` select and copy.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, StructFile.
open class StructFile: XMLFileBacked {
  /// The last good version, compiled; nil before the first.
  public private(set) var compiled: CompiledStructure?
  /// Grows with each version that was taken.
  public private(set) var version: UInt64 = 0

  /// What decides, beside Group and Client: `Path` for info.xml.
  open var conditionTags: Set<String> { CompiledStructure.standardConditions }

  /// True where the file is a Genshi template: named `*.genshi`, or with the prefix `py` bound to Genshi's namespace on
  /// the root element.
  public private(set) var isTemplate = false

  /// Decrypts elements with `encrypted="<passphrase name>"`; nil leaves them as they are.
  public var encryption: Encryption?

  open override func compile(_ document: RepositoryDocument) throws {
    if let encryption { try decrypt(document.root, encryption) }
    compiled = CompiledStructure(document.root, path: path, conditionTags: conditionTags)
    isTemplate =
      path.hasSuffix(".genshi") || document.namespaces["py"] == "http://genshi.edgewall.org/"
    version += 1
  }

  /// - Throws: `XMLFileError` where an element cannot be decrypted, unless the document or bcfg2.conf are lax about it.
  private func decrypt(_ root: Element, _ encryption: Encryption) throws {
    let isLax = root["lax_decryption"].map { $0.lowercased() == "true" } ?? encryption.isLax
    var encrypted = root["encrypted"] == nil ? [] : [root]
    root.forEachDescendant { if $0["encrypted"] != nil { encrypted.append($0) } }
    for element in encrypted {
      guard let name = element["encrypted"], let text = element.text, !text.utf8.allSatisfy({ $0 <= 0x20 }) else {
        continue
      }
      do throws(EncryptionError) {
        let plain = try encryption.decrypt(Array(text.utf8), named: name)
        if let decoded = String(validating: plain, as: UTF8.self) {
          element.text = decoded
        } else {
          logger.info("\(path): Decrypted \(element.tag) to gibberish, skipping")
        }
      } catch {
        let message = "Failed to decrypt \(element.tag) element in \(path)"
        guard isLax else { throw XMLFileError(path: path, line: Int(element.line), message: "\(message): \(error)") }
        logger.debug("\(message)")
      }
    }
  }

  /// The elements that apply to a client, in document order, conditions resolved; copies.
  public func match(_ metadata: ClientMetadata) -> [Element] {
    compiled?.match(metadata) ?? []
  }

  /// The whole document as it applies to a client, a copy without conditions: at each level the unconditional children
  /// come first, then what conditions hold.
  ///
  /// - Throws: `PluginExecutionError` where the file has never been good.
  public func xmlMatch(_ metadata: ClientMetadata) throws -> Element {
    guard let compiled else { throw PluginExecutionError("\(path) has no data") }
    return compiled.xmlMatch(metadata)
  }

  /// As `match` for a document that was rendered from a template.
  public func match(rendered root: Element, _ metadata: ClientMetadata) -> [Element] {
    CompiledStructure(root, path: path, conditionTags: conditionTags).match(metadata)
  }

  /// As `xmlMatch` for a document that was rendered from a template.
  public func xmlMatch(rendered root: Element, _ metadata: ClientMetadata) -> Element {
    CompiledStructure(root, path: path, conditionTags: conditionTags).xmlMatch(metadata)
  }
}
