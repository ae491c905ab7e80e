package import Formats
public import Templates

/// What a Connector plugin adds to a client, as templates see it.
///
/// A renderer gets `templateForm` when a template asks for the connector, and remembers it for the client: a record with
/// `form`, which says what renderer/values.py makes of the rest. For the trace of a template each part that it reads is
/// asked for again by `templateItem`.
public protocol TemplateReadable: ConnectorData {
  /// What a renderer gets.
  var templateForm: TemplateValue { get }
  /// What tells the value of one item from another value; nil: there is no such item.
  func templateItem(_ name: String) -> TemplateValue?
  /// Names of all items.
  var templateKeys: [String] { get }
}

extension TemplateReadable {
  public func templateItem(_ name: String) -> TemplateValue? { nil }
  public var templateKeys: [String] { [] }
}

/// The data of a connector that only adds groups: an empty dictionary.
struct NoConnectorData: TemplateReadable {
  var templateForm: TemplateValue { ["form": "value", "value": .record([])] }
}

extension JSONValue {
  /// The same for templates.
  package var templateValue: TemplateValue {
    switch self {
    case .null: .none
    case .boolean(let flag): .bool(flag)
    case .integer(let number): .int(number)
    case .number(let number): .double(number)
    case .string(let text): .text(text)
    case .array(let items): .list(items.map(\.templateValue))
    case .object(let members):
      // Of two with one name the last one counts, where the first one stands.
      .record(
        members.reduce(into: []) { kept, member in
          let value = TemplateValue.Member(member.name, member.value.templateValue)
          if let index = kept.firstIndex(where: { $0.name == member.name }) {
            kept[index] = value
          } else {
            kept.append(value)
          }
        })
    }
  }
}
