"""Folders of images and single images, made into one video file that everything else can read."""
