public import Core
import EventLoop
import Logging
import OrderedCollections
public import Repository
import ServerSettings
public import XMLRPC

/// Bundler: structures from the files of its folder, one bundle a file, named as the file.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Bundler.py.
public final class BundlerPlugin: Plugin, NamedStructures, StructureValidator {
  public override class var name: String { "Bundler" }

  private static let inheritsFrom = Bcfg2Version("1.4.0pre2")

  private let files: DirectoryBacked<BundleFile>
  /// Bundles by name.
  private var bundles: NameTable<BundleFile> = [:]

  public required init(_ context: PluginContext) {
    let (monitor, logger) = (context.core.fileMonitor, context.logger)
    files = DirectoryBacked(
      folder: context.folder, monitor: monitor, logger: logger, fits: { BundleFile.name(ofFile: $0) != nil },
      makeChild: { [unowned core = context.core] in
        let file = BundleFile(path: $0, monitor: monitor, logger: logger)
        file.encryption = Encryption(core.settings)
        file.rootTags = ["Bundle"]
        file.recordsReads = true
        return file
      })
    // Parts record the bundles that they are made from.
    files.concernsReadersAlone = true
    super.init(context)
  }

  public override func load() {
    files.onChange = { [unowned self] in indexBundles() }
    files.watch()
  }

  public override func settingsChanged() {
    super.settingsChanged()
    for file in files.children {
      file.encryption = Encryption(core.settings)
      file.load()
    }
  }

  /// Names of the bundles that exist, sorted.
  public var bundleNames: [String] { bundles.keys.sorted() }

  /// The contents of a bundle's file for a client, as `bcfg2-info buildbundle` shows them; nil if there is none.
  ///
  /// - Parameter bundle: the bundle's name, or that of its file.
  /// - Throws: what is wrong with the file.
  package func matched(_ bundle: String, _ metadata: ClientMetadata) async throws -> Element? {
    guard let file = bundles[bundle] ?? BundleFile.name(ofFile: bundle).flatMap({ bundles[$0] }) else { return nil }
    return try await file.resolved(metadata, by: core.xmlTemplateRenderer).xmlMatch(metadata)
  }

  /// An element of a bundle's file.
  package struct Place {
    package let path: String
    package let line: Int32
    package let conditions: String
    package let applies: Bool
    /// Whether the line is one of what a template made.
    package let isRendered: Bool
  }

  /// Elements of a bundle with one of these tags and a name, for a client.
  ///
  /// - Throws: what is wrong with the file.
  package func elements(
    _ tags: [String], named name: String, in bundle: String, _ metadata: ClientMetadata
  ) async throws -> [Place] {
    guard let file = bundles[bundle] else { return [] }
    let compiled = try await file.resolved(metadata, by: core.xmlTemplateRenderer)
    var found: [Place] = []
    compiled.forEachElement { node, conditions in
      guard tags.contains(node.source.tag), let own = node.source.name, Name.areSame(own, name) else { return }
      found.append(
        Place(
          path: file.path, line: node.source.line, conditions: conditions.text,
          applies: conditions.allSatisfy { $0.holds(metadata) }, isRendered: file.isTemplate))
    }
    return found
  }

  /// The files of all bundles, by path.
  package var bundleFiles: [BundleFile] { files.children }

  /// Why there is no bundle of a name although there is its file: `: a .bcfg2-ignore hides FILE`; empty where there is none.
  package func reason(toLack bundle: String) -> String {
    for path in ["xml", "genshi"].map({ "\(folder)/\(bundle).\($0)" })
    where core.fileMonitor.hides(path) && fileExists(path) {
      return ": a \(IgnoreFiles.fileName) hides \(path)"
    }
    return ""
  }

  private func indexBundles() {
    var found: NameTable<BundleFile> = [:]
    for file in files.children {
      if let other = found[file.bundleName] {
        logger.warning("Bundler: Bundle \(file.bundleName) is in \(other.path) and in \(file.path), using the latter")
      }
      found[file.bundleName] = file
    }
    // A name may be another file's now.
    for (name, file) in bundles where found[name] !== file { file.input.changed() }
    bundles = found
  }

  // MARK: Structure

  public func structureNames(_ metadata: ClientMetadata) -> [Name] { Array(metadata.bundles) }

  public func prepareStructures(_ names: [Name], _ metadata: ClientMetadata) {
    core.xmlTemplateRenderer?.begin(names.compactMap { bundles[$0.text] }, metadata)
  }

  public func buildStructure(
    _ bundleName: Name, _ metadata: ClientMetadata
  ) async -> (structure: Element, required: [Name])? {
    let name = bundleName.text
    guard let bundle = bundles[name] else {
      logger.error("Bundler: Bundle \(name) does not exist\(reason(toLack: name))")
      return nil
    }
    do {
      let compiled = try await bundle.resolved(metadata, by: core.xmlTemplateRenderer)
      if core.settings.compatibility == .v1_3 {
        let structure = Element("Bundle", ["name": name])
        structure.children = compiled.match(metadata)
        return (structure, [])
      }
      let structure = compiled.xmlMatch(metadata)
      if structure.isTrue("independent") {
        structure.tag = "Independent"
        structure["independent"] = nil
      }
      structure.name = name
      flatten(structure, bundle)
      return (structure, removeRequiredBundles(of: structure, bundle, metadata))
    } catch {
      if bundle.isTemplate {
        let isTemplateError = (error as? TemplateFailure)?.isTemplateError ?? true
        logger.error(
          isTemplateError
            ? "Bundler: Failed to render templated bundle \(name): \(error)"
            : "Bundler: Unexpected bundler error for \(name): \(error)")
      } else {
        logger.error("Bundler: Bundle \(name) is left out, there is no good version of it: \(error)")
      }
      return nil
    }
  }

  /// Puts the entries of XIncluded bundles in place of their `<Bundle>` element.
  private func flatten(_ structure: Element, _ file: BundleFile) {
    guard structure.firstChild(tagged: "Bundle") != nil else { return }
    var entries: [Element] = []
    for child in structure.children(tagged: "Bundle") {
      if child.children.isEmpty {
        file.warnOnce("Bundler: Useless empty Bundle tag in \(file.path)")
      } else if child.name != nil {
        file.warnOnce(
          "Bundler: In file XIncluded from \(file.path): Explicitly specifying bundle names is deprecated")
      }
      entries += child.children
    }
    structure.children.removeAll { $0.tag == "Bundle" }
    structure.children += entries
  }

  /// Removes `<RequiredBundle>` elements; one that inherits modifications leaves a `<Bundle name>` for the client.
  ///
  /// - Returns: names of the bundles that the client needs too.
  private func removeRequiredBundles(of structure: Element, _ file: BundleFile, _ metadata: ClientMetadata) -> [Name] {
    guard structure.firstChild(tagged: "RequiredBundle") != nil else { return [] }
    let required = structure.children(tagged: "RequiredBundle")
    structure.children.removeAll { $0.tag == "RequiredBundle" }
    var names: [Name] = []
    for element in required {
      guard let name = element.name, !name.isEmpty else {
        file.warnOnce("Bundler: Missing required name in RequiredBundle tag in \(file.path)")
        continue
      }
      names.append(Name(name))
      guard element["inherit_modification"] == "true" else { continue }
      if let version = metadata.versionInfo, let first = Self.inheritsFrom, version >= first {
        structure.append("Bundle", ["name": name])
      } else {
        file.warnOnce(
          "Bundler: \(file.path): inherit_modification=\"true\" is only supported for clients starting 1.4.0pre2")
      }
    }
    return names
  }

  // MARK: StructureValidator

  public var treatsStructuresApart: Bool { true }

  /// Replaces `<Path glob>` by a `<Path name>` for each path of any generator that fits.
  public func validateStructures(_ metadata: ClientMetadata, _ structures: inout [Element]) {
    guard core.settings.compatibility != .v1_3 else { return }
    for structure in structures { expandGlobs(structure, metadata) }
  }

  private func expandGlobs(_ parent: Element, _ metadata: ClientMetadata) {
    var added: [Element] = []
    var hasGlobs = false
    for child in parent.children {
      guard child.tag == "Path", let pattern = child["glob"] else {
        if !child.children.isEmpty { expandGlobs(child, metadata) }
        continue
      }
      hasGlobs = true
      metadata.read(core.entryInputs.names)
      let glob = Glob(pattern)
      for generator in core.interfaces.generators {
        for name in generator.entryNames(tag: "Path") where glob.matches(name) {
          added.append(Element("Path", ["name": name], line: child.line))
        }
      }
    }
    guard hasGlobs else { return }
    parent.children.removeAll { $0.tag == "Path" && $0["glob"] != nil }
    parent.children += added
  }
}

/// The file of one bundle.
public final class BundleFile: StructFile {
  public override var isTemplateIn13: Bool { true }

  /// The file's name without `.xml` or `.genshi`.
  public var bundleName: String { Self.name(ofFile: RepositoryPath.name(of: path)) ?? "" }

  /// The name of the bundle in a file of this name; nil for files that are no bundles.
  static func name(ofFile file: String) -> String? {
    for suffix in [".xml", ".genshi"] where file.hasSuffix(suffix) { return String(file.dropLast(suffix.utf8.count)) }
    return nil
  }

  public override func compile(_ document: RepositoryDocument) throws {
    try super.compile(document)
    if document.root.name?.isEmpty == false {
      warnOnce("Bundler: \(path): Explicitly specifying bundle names is deprecated")
    }
    if path.hasSuffix(".genshi") {
      warnOnce(
        """
        Bundler: \(path): Bundle filenames ending with .genshi are deprecated; add the Genshi XML namespace to a .xml \
        bundle instead
        """)
    }
  }
}
