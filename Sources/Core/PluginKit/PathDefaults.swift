public import Repository
public import ServerSettings

/// The attributes of `[mdata]`, for Path entries without an info.xml, or with one that does not set them.
extension Settings.PathDefaults {
  /// The attributes in Bcfg2's order.
  public var attributes: [(name: String, value: String)] {
    [
      ("owner", owner), ("group", group), ("mode", mode), ("secontext", secontext), ("important", important),
      ("paranoid", paranoid), ("sensitive", sensitive),
    ]
  }

  /// Sets every attribute on an entry and replaces existing ones, as Bcfg2 does before it binds an info.xml.
  public func apply(to entry: Element) {
    // Leaves room for attributes of an info.xml and of the entry's plugin.
    entry.attributes.reserveCapacity(entry.attributes.count + 9)
    entry["owner"] = owner
    entry["group"] = group
    entry["mode"] = mode
    entry["secontext"] = secontext
    entry["important"] = important
    entry["paranoid"] = paranoid
    entry["sensitive"] = sensitive
  }
}
