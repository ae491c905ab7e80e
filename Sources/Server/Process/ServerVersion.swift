/// The version of this server.
public nonisolated enum ServerVersion {
  public static let text = "0.1.0"
}
