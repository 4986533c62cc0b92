"""Files that clients send straight to where they are kept: a local folder, S3, Azure Blob.

    upload, how = create_upload(owner=user, filename="me.png", content_type="image/png", size=9_000)
    …                                        # the client sends the bytes as `how` says
    complete_upload(owner=user, uid=upload.uid)         # looked at, and kept
    attach_upload(owner=user, uid=upload.uid, purpose="avatar")      # in your transaction

Nothing is public: whoever may see a file gets a signed address that ends soon. What nobody
attaches is removed. See `ntc_core.storage.services`.
"""
