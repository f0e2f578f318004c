"""What `fit` takes unless it is told otherwise, where that is not the default of Lightning."""

DEFAULTS = {
    "trainer.devices": 1,
    "trainer.max_epochs": 10,
    "trainer.num_sanity_val_steps": 0,
    "trainer.enable_model_summary": False,
    "checkpoint.save_last": False,
    "checkpoint.save_top_k": 0,
    "checkpoint.save_on_train_epoch_end": True,
    "checkpoint.enable_version_counter": False,
}
