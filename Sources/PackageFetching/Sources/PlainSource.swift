import EventLoop
import PackageSources

/// The files of a pacman or pkgng source: one for each component and architecture, without checksums beside it.
struct PlainSource {
  let context: SourceContext

  func fetch() async throws(FetchError) -> [PartFiles] {
    let source = context.source
    if source.kind == .pac, !source.rawURL.isEmpty {
      // As in Bcfg2, where the source has no packages then.
      throw FetchError(.other, "rawurl is not supported for sources of type pac")
    }
    try context.requireNoSignature(
      "signatures of sources of type \(source.kind.rawValue) cannot be checked")
    return await context.eachPart(files)
  }

  private func files(_ part: SourcePart) async -> PartFiles {
    do throws(FetchError) {
      let download = try await context.fetch(url(part))
      return PartFiles(part: part, state: .files(PartInput(files: [.packages: download])))
    } catch {
      return PartFiles(part: part, state: .failed(error))
    }
  }

  private func url(_ part: SourcePart) -> SourceURL {
    let source = context.source
    let component = part.component
    switch source.kind {
    case .pac: return SourceURL("\(source.url)\(component)/os/\(part.arch)/\(component).db.tar.gz")
    default:
      // Bcfg2 puts another slash behind the one of the URL; servers do not mind.
      return SourceURL(
        source.rawURL.isEmpty
          ? "\(source.url)/freebsd:\(source.version):\(part.arch)/\(component)/packagesite.txz"
          : "\(source.rawURL)/packagesite.txz")
    }
  }
}
