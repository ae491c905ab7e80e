import Core
package import Repository
package import Templates
import XMLRPC

/// What Cfg has read of one of its folders, for tools that check a repository.
package struct CfgFolder {
  /// The name of the entry: `/etc/motd`.
  package let name: String
  /// Absolute path of the folder.
  package let path: String
  /// Its files that Cfg understands, by name.
  package let files: [CfgFileSummary]
}

/// One file of such a folder.
package struct CfgFileSummary {
  package enum Kind: Equatable {
    case plain
    case encrypted
    case template(TemplateJob.Kind, isEncrypted: Bool)
    case infoXML
    /// `privkey.xml`, `sslcert.xml` and others that say how to make contents, or what they are made of.
    case specification
    case other
  }

  package let name: String
  package let path: String
  package let kind: Kind
  /// Whether it is for all clients.
  package let isForAll: Bool
  /// Whether contents of the entry come from it.
  package let isGenerator: Bool
  /// Its bytes when it was last readable.
  package let data: [UInt8]?
  /// The root of a document; nil where it is none, or was never good.
  package let root: Element?
}

extension CfgPlugin {
  /// All folders, by entry.
  package var folders: [CfgFolder] {
    entrySets.sorted().map { name, set in
      let files = set.files.sorted().map { name, file in
        CfgFileSummary(
          name: name, path: file.path, kind: kind(of: file, set), isForAll: file.specificity == .all,
          isGenerator: file is CfgGenerator, data: file.data, root: (file as? CfgInfo)?.structureFile?.root)
      }
      return CfgFolder(name: name, path: set.path, files: files)
    }
  }

  private func kind(of file: CfgFile, _ set: CfgEntrySet) -> CfgFileSummary.Kind {
    switch CfgFileName(file.fileName, base: RepositoryPath.name(of: set.path), handlers: rules.handlers) {
    case .plain: .plain
    case .encrypted: .encrypted
    case .template(_, let kind, let isEncrypted): .template(kind, isEncrypted: isEncrypted)
    case .infoXML: .infoXML
    case .authorizedKeys, .privateKey, .publicKey, .sslKey, .sslCertificate: .specification
    case .legacyInfo, .test, .cat, .diff, .ignored, .unknown: .other
    }
  }
}
