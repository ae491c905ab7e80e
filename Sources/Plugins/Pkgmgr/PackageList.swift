import Core
import Formats
import Logging
import Repository

/// What Pkgmgr adds to an entry.
struct PackageBinding {
  /// Attributes that replace those of the entry, its name included.
  var attributes = Attributes()
  var text: String?
  var children: [Element] = []
  /// Where it stands in its file, and whom it is for.
  var line: Int32 = 0
  var conditions: [CompiledStructure.Condition] = []
}

/// Compiles one `<PackageList>`: attributes go down from lists and groups to packages, file names become names,
/// versions and addresses.
struct PackageList {
  private(set) var table = ConditionalTable<PackageBinding>()
  private let path: String
  private let logger: Logger

  init(path: String, logger: Logger) {
    self.path = path
    self.logger = logger
  }

  /// Adds a list with everything below.
  mutating func add(_ root: Element) { add(root, inheriting: root.attributes, []) }

  private mutating func add(
    _ element: Element, inheriting attributes: Attributes, _ conditions: [CompiledStructure.Condition]
  ) {
    for child in element.children where !isCondition(child) {
      let own = Self.inherited(child, attributes)
      if child.tag == "Package" {
        addPackage(child, own, conditions)
      } else {
        let text = child.text.flatMap { $0.isEmpty ? nil : $0 }
        let binding = PackageBinding(
          attributes: own, text: text, children: child.children, line: child.line, conditions: conditions)
        table.add(binding, tag: child.tag, name: child.name, conditions: conditions)
      }
    }
    for child in element.children where isCondition(child) {
      add(
        child, inheriting: Self.inherited(child, attributes), conditions + [CompiledStructure.Condition(child)])
    }
  }

  /// An element's attributes, and those of its ancestors that it lacks; a name is never inherited.
  private static func inherited(_ element: Element, _ above: Attributes) -> Attributes {
    var own = element.attributes
    for (name, value) in above where name != "name" && own[name] == nil { own[name] = value }
    return own
  }

  private mutating func addPackage(
    _ element: Element, _ inherited: Attributes, _ conditions: [CompiledStructure.Condition]
  ) {
    var attributes = inherited
    var listed = attributes["name"]
    var split = Attributes()
    if let file = attributes["simplefile"] {
      attributes["url"] = "\(attributes["uri"] ?? "None")/\(file)"
    } else if let file = attributes["file"] {
      guard let url = url(of: file, attributes) else {
        report(element, "Package \(file): srcs has fewer words than multiarch")
        return
      }
      attributes["url"] = url
      if let kind = FileNameKind(rawValue: attributes["type"] ?? "") {
        let parts = kind.split(file)
        if parts == nil { report(element, "Failed to match pkg \(file)") }
        // As in 1.3.4 the listed name is bound too, with nothing but its children: the client asks its own tools for the rest.
        if let listed, listed != parts?["name"], PkgmgrPlugin.split(listed) == nil {
          let binding = PackageBinding(
            children: element.children, line: element.line, conditions: conditions)
          table.add(binding, tag: "Package", name: listed, conditions: conditions)
        }
        guard let parts else { return }
        split = parts
        listed = parts["name"]
      }
    }
    guard let name = listed else {
      report(element, "Package has neither a name nor a file that it could be taken from")
      return
    }
    if PkgmgrPlugin.split(name) != nil {
      report(element, "Package \(name): a name in a list must not choose architectures")
      return
    }
    for (name, value) in attributes { split[name] = value }
    let binding = PackageBinding(
      attributes: split, text: nil, children: element.children, line: element.line, conditions: conditions)
    table.add(binding, tag: "Package", name: name, conditions: conditions)
  }

  /// `uri/file`; with `multiarch` one for each of its words, which go into `%(arch)s`, as those of `srcs` into `%(src)s`.
  private func url(of file: String, _ attributes: Attributes) -> String? {
    let uri = attributes["uri"] ?? "None"
    guard let multiarch = attributes["multiarch"] else { return "\(uri)/\(file)" }
    let architectures = multiarch.words
    let sources = (attributes["srcs"] ?? multiarch).words
    guard sources.count >= architectures.count else { return nil }
    return zip(architectures, sources).map { architecture, source in
      let name = file.replacing("%(arch)s", with: architecture).replacing("%(src)s", with: source)
      return "\(uri)/\(name.replacing("%%", with: "%"))"
    }.joined(separator: " ")
  }

  private func report(_ element: Element, _ message: String) {
    logger.error("\(XMLFileError(path: path, line: Int(element.line), message: message))")
  }

  /// Types of packages whose file names contain name and version.
  private enum FileNameKind: String {
    case rpm, encap

    /// Name, version and architecture; nil if the file's name has another form.
    func split(_ file: String) -> Attributes? {
      switch self {
      case .rpm: Self.splitRPM(file)
      case .encap: Self.splitEncap(file)
      }
    }

    /// `name-version-release.arch.rpm`, perhaps with folders before it.
    private static func splitRPM(_ file: String) -> Attributes? {
      guard let match = PackageList.rpmPattern.match(file), let name = match["name"], let version = match["version"],
        let arch = match["arch"]
      else { return nil }
      return ["name": name, "version": version, "arch": arch]
    }

    /// `name-version.encap` and what follows.
    private static func splitEncap(_ file: String) -> Attributes? {
      guard let match = PackageList.encapPattern.match(file), let name = match["name"], let version = match["version"]
      else {
        return nil
      }
      return ["name": name, "version": version]
    }
  }

  private static let rpmPattern = pattern(
    #"(.*/)?(?P<name>[\w+.]+(-[\w+.]+)*)-(?P<version>[\w.]+-[\w.]+)\.(?P<arch>\S+)\.rpm$"#)
  private static let encapPattern = pattern(#"(?P<name>[\w-]+)-(?P<version>[\w.+-]+).encap.*$"#)

  private static func pattern(_ text: String) -> PythonRegex {
    do throws(RegexError) {
      return try PythonRegex(text)
    } catch {
      preconditionFailure("\(error)")
    }
  }
}
