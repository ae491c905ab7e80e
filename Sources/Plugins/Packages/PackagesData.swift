import Core
import PackageSources
import ServerSettings
package import Templates

/// `metadata.Packages`: the client's sources, and the text of the generated file.
package final class PackagesData: ConnectorData {
  private let members: [ClientSources.Member]
  private let kind: SourceKind?
  private let compatibility: Compatibility

  init(_ members: [ClientSources.Member], _ kind: SourceKind?, _ compatibility: Compatibility) {
    self.members = members
    self.kind = kind
    self.compatibility = compatibility
  }

  /// The text of apt's list or of yum's repositories; nil if the client's sources have none.
  lazy var generatedText = GeneratedSources.text(members, kind, compatibility)

  /// One record for each repository.
  private lazy var sources: TemplateValue = .list(
    members.flatMap { member in
      let source = member.source
      return source.parts.map { part -> TemplateValue in
        var record: [TemplateValue.Member] = [
          .init("version", .text(source.version)),
          .init("component", part.component.isEmpty ? .none : .text(part.component)),
          .init("arch", .text(part.arch)),
          .init("baseurl", .text(source.rawURL.isEmpty ? source.url : source.rawURL)),
          .init("url", .text(part.url)),
        ]
        if compatibility == .v1_4 {
          record += [
            .init("debsrc", .bool(source.hasDebSource)),
            .init("name", .text(GeneratedSources.repositoryName(source, member.groups, part))),
          ]
        }
        return .record(record)
      }
    })
}

extension PackagesData: TemplateReadable {
  package var templateForm: TemplateValue {
    ["form": "packages", "sources": sources, "config": .text(generatedText ?? "")]
  }

  package func templateItem(_ name: String) -> TemplateValue? {
    switch name {
    case "sources": sources
    case "get_config": .text(generatedText ?? "")
    default: nil
    }
  }

  package var templateKeys: [String] { ["sources", "get_config"] }
}
