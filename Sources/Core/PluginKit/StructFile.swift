import EventLoop
import Logging
public import Repository
public import Templates

/// An XML file with Group and Client conditions around its contents.
///
/// It is compiled when it is read; `match` and `xmlMatch` then only select and copy.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, StructFile.
open class StructFile: XMLFileBacked {
  /// The last good version, compiled; nil before the first.
  public private(set) var compiled: CompiledStructure?
  /// Grows with each good version.
  public private(set) var version: UInt64 = 0
  /// Changes with each good version, and when the file is gone.
  public let input = BuildInput()
  /// True: the file is only read with `match`, `xmlMatch`, `structure` and `resolved`, which record it, so that a change
  /// concerns the parts alone that were made with it. Set by the plugin that has the file.
  public var recordsReads = false
  public override var concernsReadersAlone: Bool { recordsReads }

  /// Tags of conditions; info.xml adds `Path`.
  open var conditionTags: Set<String> { CompiledStructure.standardConditions }

  /// The text of a Genshi template: a file named `*.genshi`, or with the prefix `py` bound to Genshi's namespace on the
  /// root element, that uses Genshi at all; nil for other files.
  public private(set) var templateSource: TemplateSource?
  public var isTemplate: Bool { templateSource != nil }

  /// Whether 1.3.4 renders files of this kind too: it renders only bundles and GroupLogic.
  open var isTemplateIn13: Bool { false }

  /// Decrypts elements with `encrypted="<passphrase name>"`; nil leaves them as they are.
  public var encryption: Encryption?

  open override func compile(_ document: RepositoryDocument) throws {
    if let encryption { try decrypt(document.root, encryption) }
    try findTemplate(document)
    compiled = compileContents(document.root)
    version += 1
    input.changed()
  }

  open override func stopWatching() {
    super.stopWatching()
    input.changed()
  }

  /// Compiles the root of the file, or of its rendered template.
  open func compileContents(_ root: Element) -> CompiledStructure {
    CompiledStructure(root, path: path, conditionTags: conditionTags)
  }

  /// Compiles the root of the file's rendered template. What is encrypted in the template is so in its output: it is
  /// decrypted here, since passphrases stay in the server.
  package func compileRendered(_ root: Element) throws -> CompiledStructure {
    if let encryption { try decrypt(root, encryption, hasLines: false) }
    return compileContents(root)
  }

  private func findTemplate(_ document: RepositoryDocument) throws {
    guard path.hasSuffix(".genshi") || document.namespaces["py"] == GenshiText.namespace else {
      templateSource = nil
      return
    }
    let bytes = try AtomicFile.readFile(path, limitBytes: RepositoryXML.fileLimitBytes)
    guard GenshiText.hasDirectives(bytes) else {
      templateSource = nil
      return
    }
    let source = templateSource ?? TemplateSource(path: path, isTemplateIn13: isTemplateIn13)
    source.update(bytes)
    templateSource = source
  }

  // MARK: Matching

  /// Renders the file for a client if it is a template; `match` and `xmlMatch` then use the result.
  ///
  /// - Throws: errors of the template, with file and line.
  public func prepare(_ metadata: ClientMetadata, by renderer: (any XMLTemplateRenderer)?) async throws {
    guard isTemplate else { return }
    // Rendered anew for each answer, unless the renderer has kept the result.
    _ = try await metadata.attachment(
      of: self, where: { (_: CompiledStructure) in false },
      make: { try await resolved(metadata, by: renderer) })
  }

  /// The compiled document for a client: the file's own, or the one `prepare` rendered; nil if the file was never good,
  /// or is a template not yet rendered.
  public func structure(for metadata: ClientMetadata) -> CompiledStructure? {
    metadata.read(input)
    guard isTemplate else { return compiled }
    if let rendered: CompiledStructure = metadata.attached(to: self) { return rendered }
    reportProblem("\(path) is a template that was not rendered")
    return nil
  }

  /// - Parameter hasLines: whether the elements' lines are those of the file.
  /// - Throws: `XMLFileError` if an element cannot be decrypted, unless the document or bcfg2.conf allows lax
  ///   decryption.
  private func decrypt(_ root: Element, _ encryption: Encryption, hasLines: Bool = true) throws {
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
        guard isLax else {
          throw XMLFileError(path: path, line: hasLines ? Int(element.line) : 0, message: "\(message): \(error)")
        }
        logger.debug("\(message)")
      }
    }
  }

  /// Copies the elements that apply to a client, in document order, with conditions resolved.
  public func match(_ metadata: ClientMetadata) -> [Element] {
    structure(for: metadata)?.match(metadata) ?? []
  }

  /// Copies the whole document for a client without conditions: at each level unconditional children first, then
  /// contents of conditions.
  ///
  /// - Throws: `PluginExecutionError` if the file has never been good.
  public func xmlMatch(_ metadata: ClientMetadata) throws -> Element {
    guard let structure = structure(for: metadata) else { throw PluginExecutionError("\(path) has no data") }
    return structure.xmlMatch(metadata)
  }
}

/// Detects Genshi in a text.
package enum GenshiText {
  package static let namespace = "http://genshi.edgewall.org/"

  /// Whether a document uses Genshi beyond declaring its prefix; other documents need no rendering.
  static func hasDirectives(_ bytes: [UInt8]) -> Bool {
    if bytes.contains(UInt8(ascii: "$")) || contains(bytes, "<?python") || contains(bytes, "XInclude") { return true }
    // A second declaration binds another prefix.
    return count(bytes, "py:") > 0 || count(bytes, namespace) > 1
  }

  private static func contains(_ bytes: [UInt8], _ word: String) -> Bool { count(bytes, word) > 0 }

  private static func count(_ bytes: [UInt8], _ word: String) -> Int {
    let word = Array(word.utf8)
    guard bytes.count >= word.count else { return 0 }
    return (0...(bytes.count - word.count)).count { start in
      // Compare the first byte first: it rules out most positions.
      bytes[start] == word[0] && bytes[start..<(start + word.count)].elementsEqual(word)
    }
  }
}
