/// A file on disk with metadata of a mirror, as it was downloaded.
package struct MetadataFile: Sendable {
  package var path: String
  /// The name for errors: the address that it came from, without a password.
  package var name: String
  /// Whether it may be without compression, whatever its name says.
  package var acceptsPlain: Bool

  package init(path: String, name: String? = nil, acceptsPlain: Bool = true) {
    self.path = path
    self.name = name ?? path
    self.acceptsPlain = acceptsPlain
  }
}

/// The files of one part of a source. Each may be compressed in any of the formats of `Decompressor`.
package enum IndexInput: Sendable {
  /// Packages of a Debian archive.
  case debianPackages(MetadataFile)
  case yum(YumFiles)
  /// The database of a pacman repository.
  case pacman(MetadataFile)
  /// packagesite.txz or packagesite.pkg of a FreeBSD repository.
  case pkgng(MetadataFile)
}

/// The files that repomd.xml of a yum repository names.
package struct YumFiles: Sendable {
  package var primary: MetadataFile
  /// Without it, the shorter lists of primary.xml tell which package has a required path.
  package var filelists: MetadataFile?
  package var comps: MetadataFile?
  package var modules: MetadataFile?

  package init(
    primary: MetadataFile, filelists: MetadataFile? = nil, comps: MetadataFile? = nil, modules: MetadataFile? = nil
  ) {
    self.primary = primary
    self.filelists = filelists
    self.comps = comps
    self.modules = modules
  }
}
