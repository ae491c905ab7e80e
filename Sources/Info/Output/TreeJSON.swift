import Commands
import Core
import Repository
import Templates

/// An element as JSON.
struct ElementJSON: Encodable {
  let type: String
  let attributes: [String: String]
  let text: String?
  let children: [ElementJSON]

  @MainActor init(_ element: Element) {
    type = element.tag
    attributes = Dictionary(element.attributes.map { ($0.name, $0.value) }) { first, _ in first }
    text = element.text
    children = element.children.map { ElementJSON($0) }
  }

  private enum Keys: String, CodingKey { case type, attributes, text, children }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    try container.encode(type, forKey: .type)
    try container.encode(attributes, forKey: .attributes)
    try container.encodeIfPresent(text, forKey: .text)
    if !children.isEmpty { try container.encode(children, forKey: .children) }
  }
}

/// What templates see, as JSON.
struct ValueJSON: Encodable {
  let value: TemplateValue

  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
  }

  func encode(to encoder: any Encoder) throws {
    switch value {
    case .list(let items):
      var container = encoder.unkeyedContainer()
      for item in items { try container.encode(ValueJSON(value: item)) }
    case .record(let members):
      var container = encoder.container(keyedBy: Key.self)
      for member in members { try container.encode(ValueJSON(value: member.value), forKey: Key(member.name)) }
    default:
      var container = encoder.singleValueContainer()
      switch value {
      case .bool(let flag): try container.encode(flag)
      case .int(let number): try container.encode(number)
      case .double(let number): try container.encode(number)
      case .text(let text): try container.encode(text)
      case .bytes(let bytes): try container.encode(String(decoding: bytes, as: UTF8.self))
      default: try container.encodeNil()
      }
    }
  }
}

/// What a connector added to a client, as templates see it.
enum ConnectorValue {
  /// nil where there is nothing. What queries give is fetched.
  @MainActor static func value(_ data: any ConnectorData, _ metadata: ClientMetadata) async -> TemplateValue? {
    guard let data = data as? any TemplateQueryData else { return value(data) }
    let answer = await data.answer(nil, metadata)
    if let problem = answer["problem"] { return problem }
    var members: [TemplateValue.Member] = []
    for name in answer["names"]?.texts ?? [] {
      let result = await data.answer(name, metadata)
      guard let blob = result["blob"]?.contents else { continue }
      let value = try? PythonMarshal.decode(blob)
      members.append(.init(name, value ?? .text("a value that only templates can read")))
    }
    return members.isEmpty ? nil : .record(members)
  }

  @MainActor private static func value(_ data: any ConnectorData) -> TemplateValue? {
    guard let data = data as? any TemplateReadable else { return nil }
    if let files = data as? any TemplateFileData {
      let members = data.templateKeys.compactMap { name in
        files.templateFile(name).map { TemplateValue.Member(name, .bytes($0.bytes)) }
      }
      return members.isEmpty ? nil : .record(members)
    }
    let form = data.templateForm
    let value: TemplateValue?
    switch form["form"]?.text {
    case "value": value = form["value"]
    case "json": value = form["text"]
    case "probes": value = form["texts"]
    case "helpers": value = .record(data.templateKeys.map { .init($0, .text($0)) })
    default: value = .record((form.members ?? []).filter { $0.name != "form" })
    }
    switch value {
    case .record(let members): return members.isEmpty ? nil : value
    case .list(let items): return items.isEmpty ? nil : value
    case .text(let text): return text.isEmpty ? nil : value
    case .none?, nil: return nil
    default: return value
    }
  }
}

extension ValueJSON {
  /// As JSON in readable form.
  var text: String { get throws { try Output.json(self) } }
}

extension ElementJSON {
  /// As JSON in readable form.
  var document: String { get throws { try Output.json(self) } }
}
