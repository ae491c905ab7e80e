/// What is in column `detail_type`.
public enum PathDetail: Int, Sendable, Hashable {
  case unused, diff, binary, sensitive, sizeLimit, versionControl, pruned

  public var title: String {
    switch self {
    case .unused: "Unused"
    case .diff: "Diff"
    case .binary: "Binary"
    case .sensitive: "Sensitive"
    case .sizeLimit: "Size limit exceeded"
    case .versionControl: "VCS output"
    case .pruned: "Pruned paths"
    }
  }
}
