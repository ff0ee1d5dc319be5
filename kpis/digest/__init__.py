"""The morning's message: what can't be believed, the figures, the incidents.

`sending.send_due` is the door of the tick, `preview.previews` that of the admin.
"""
