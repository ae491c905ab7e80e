extension CfgPlugin: PathContents {
  public func hasContents(ofPath path: String, _ metadata: ClientMetadata) -> Bool {
    entrySets[path]?.generator(for: metadata) != nil
  }
}
