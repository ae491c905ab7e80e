public import Core
import Formats
import InstanceTags
public import Templates

/// `metadata.AWSTags`: the tags of a client's instance, by their names.
///
/// The same object as long as the tags are the same: what was made with it is then used again.
public final class AWSTagsData: ConnectorData {
  let tags: [InstanceTag]

  init(_ tags: [InstanceTag]) { self.tags = tags }

  /// Names and values, in EC2's order.
  public var values: [(name: String, value: String)] { tags.map { ($0.name, $0.value) } }
}

extension AWSTagsData: TemplateReadable {
  public var templateForm: TemplateValue {
    let members = tags.map { JSONValue.Member($0.name, .string($0.value)) }
    return ["form": "value", "value": JSONValue.object(members).templateValue]
  }
}
