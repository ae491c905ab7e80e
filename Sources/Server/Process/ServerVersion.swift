/// The version of this software, in the form of Semantic Versioning: what `--version` of each command prints, and what packages are
/// called. Scripts read it from this file. What is told to clients on the wire is Bcfg2's version, not this one.
public nonisolated enum ServerVersion {
  public static let text = "1.0.0-dev"
}
