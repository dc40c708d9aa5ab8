// Package rootfs merges the layers of an image into the tree that a container sees, without unpacking
// anything: every path knows its layer, its tar header and, where the layer's index kept it, its content.
//
// A [Stack] is built once from the indexes of all layers. It serves every prefix: [Stack.View] gives the tree
// of the first n layers, so the state in which an earlier layer was made can be asked for as cheaply as the
// final one. A [View] is an [io/fs.FS] whose symbolic links never leave the image, and beside that answers in
// terms of layers: [View.Lookup], [View.Resolve], [Stack.History].
//
// # Guarantees
//
//   - The tree is what a runtime gets that applies the layers one after the other as the OCI image
//     specification says (layer.md, "Representing Changes", "Whiteouts"): a whiteout and an opaque whiteout
//     hide what lower layers hold and nothing of their own layer, wherever in the archive they stand; a
//     directory keeps its children when a later layer repeats it, and loses them when something else takes
//     its place; the last of several entries of one path counts.
//   - Two habits of the runtimes that the specification leaves open are followed, because images depend on
//     them. Parent directories that no entry describes are there (root's, 0755, see [Node.Implicit]). And an entry
//     below a symbolic link that is a directory's name in the layers below, "bin/tool" over "bin -> usr/bin",
//     lands where the link leads, as it does under containerd, BuildKit and umoci; [Node.Archived] has the
//     name that it carries in its archive.
//   - A hard link shares the file that its target was when the archive named it, be it of a lower layer.
//   - Names are bytes. Only the methods of io/fs insist on valid UTF-8, as fs.ValidPath does.
//   - Symbolic links are followed at most 40 deep, as Linux does, then [ErrLoop] is returned; ".." stops at the root.
//   - A Stack is immutable and safe for concurrent use. Its memory grows with the number of paths, never with
//     their content, and is bounded for hostile input.
//
// # Why this way
//
// One tree per prefix would be the obvious model, and is too large: an image has dozens of layers and a layer
// tens of thousands of paths. Instead each path has one record per layer that says anything about it, and the
// rules that make a record invisible (whiteouts, opaque directories, directories that became files) are all
// expressed as one number per record, the position in the stack below which nothing shows through. A lookup walks
// down from the root, carries the highest such position along, and takes the newest record above it.
package rootfs
