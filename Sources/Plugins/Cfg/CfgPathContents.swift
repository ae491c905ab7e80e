public import Core
public import Identity
import Repository
import XMLRPC

extension CfgPlugin: @MainActor PathContents {
  public func hasContents(ofPath path: String, _ metadata: ClientMetadata) -> Bool {
    core.entryInputs.read(tag: entryType, name: path, metadata)
    return entrySets[path]?.generator(for: metadata) != nil
  }

  public func contentsPath(ofPath path: String, for client: ClientName) throws -> String {
    let folder = try NamedFile.folder(path, below: folder)
    return try CfgCreator.createdPath(in: folder, .host(Name(client.text)), handlers: rules.handlers)
  }
}
