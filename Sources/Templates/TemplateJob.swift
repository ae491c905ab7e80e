/// One template that is to be rendered.
public struct TemplateJob: Hashable, Sendable {
  /// The engine and the form of the result, by the names in renderer/engines.py.
  public enum Kind: String, Hashable, Sendable {
    case genshi, cheetah, jinja2
    /// Genshi's older text syntax.
    case oldGenshi = "old-genshi"
    /// A file in XML, from a template in XML.
    case genshiXML = "genshi-xml"
    /// A structure file: a bundle, rules.
    case xml
    /// No template: the modules of TemplateHelper, which are only loaded.
    case helpers
    /// No template: queries of a plugin, whose module is the text. The result is what they give, in marshal's form.
    case queries
  }

  public var kind: Kind
  /// Absolute path of the template.
  public var path: String
  /// The version of its text to render.
  public var version: Int
  /// The text of that version.
  public var source: [UInt8]
  /// The name of the entry; nil for XML templates.
  public var name: String?
  /// Most bytes of the result.
  public var limitBytes: Int
  /// Whether the file and those that it includes are encrypted.
  public var isEncrypted = false
  /// Variables by provider. A provider without values stands for the modules of TemplateHelper.
  public var variables: [Provider] = []
  /// True: load it without rendering, to find errors that do not depend on a client.
  public var onlyLoads = false
  /// Whether this version was rendered for any client before.
  public var isProven = false

  /// A plugin that gives variables to templates.
  public struct Provider: Hashable, Sendable {
    public let name: String
    public let values: [TemplateValue.Member]?

    public init(name: String, values: [TemplateValue.Member]?) {
      self.name = name
      self.values = values
    }
  }

  public init(kind: Kind, path: String, version: TemplateSource.Version, name: String?, limitBytes: Int) {
    self.kind = kind
    self.path = path
    self.version = version.number
    source = version.bytes
    self.name = name
    self.limitBytes = limitBytes
  }

  func form(withSource: Bool) -> TemplateValue {
    var members: [TemplateValue.Member] = [
      .init("kind", .text(kind.rawValue)), .init("path", .text(path)), .init("version", .int(version)),
      .init("limit", .int(limitBytes)),
    ]
    if let name { members.append(.init("name", .text(name))) }
    if isEncrypted { members.append(.init("is_encrypted", true)) }
    if onlyLoads { members.append(.init("loads", true)) }
    if !variables.isEmpty {
      let list = variables.map { [.text($0.name), $0.values.map { .record($0) } ?? .none] as TemplateValue }
      members.append(.init("variables", .list(list)))
    }
    if withSource { members.append(.init("source", .bytes(source))) }
    return .record(members)
  }
}
